"""What Ariadne hands to its hooks, to the executor and to each resolver (`info.context`): one request and its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationType

from core.access.caller import Caller
from core.graph.api.document import Document, Documents
from core.graph.api.operation import Request, prepare
from core.graph.api.request_limits import ApiLimits
from core.graph.api.served import Served
from core.graph.schema.view import View

__all__ = ["Context"]


@dataclass(slots=True, eq=False)
class Context:
    """`data`: the request's `query`, `operationName` and `variables`. `request`: the operation, once it is ready to run; `revision`:
    the revision that the answer is based on, once there is an answer."""

    caller: Caller
    headers: Mapping[str, str]
    data: Mapping[str, Any]
    served: Served
    documents: Documents
    limits: ApiLimits
    document: Document | None = None
    request: Request | None = None
    revision: str = ""

    @property
    def view(self) -> View:
        """The caller's view of the graph."""
        return self.served.view

    def parse(self) -> Document:
        """Raises `GraphQLSyntaxError` or `Rejected`."""
        if self.document is None:
            self.document = self.documents.parse(self.served.version, self.data["query"])
        return self.document

    def query_parser(self, _: Any, data: Any) -> DocumentNode:
        return self.parse().node

    def query_validator(
        self, schema: GraphQLSchema, document_ast: DocumentNode, *_: Any, **__: Any
    ) -> list[GraphQLError]:
        return self.documents.validate(self.served.version, schema, self.parse())

    @property
    def kind(self) -> OperationType | None:
        """Return None if the operation does not exist. Raises the errors of `parse`."""
        if not isinstance(self.data["query"], str):
            return None
        operation = self.parse().operation(self.data["operationName"])
        return operation.operation if operation else None

    def prepare(self) -> Request | None:
        """Return the operation with its plan; None if the document does not have it. Raises `Rejected`, `BadRequest` or `Forbidden`."""
        document = self.parse()
        if (node := document.operation(self.data["operationName"])) is None:
            return None
        variables: Mapping[str, Any] = self.data["variables"] or {}
        request = prepare(self.caller, self.served, document, node, variables, self.headers, self.limits)
        if not all(step.platform is not None and step.platform.checks_scope for step in request.operation.steps):
            self.caller.demand("manage" if request.operation.kind == "mutation" else "view")
        self.request = request
        return request
