"""Runs an operation: queries field by field, a mutation's graph fields as one transaction, platform commands one after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.api.complete import complete
from core.api.document import Documents
from core.api.errors import error_answer
from core.api.introspect import Introspection
from core.api.limits import ApiLimits, check_values
from core.api.mutate import Mutations
from core.api.operation import Request, Step, prepare
from core.api.query import Queries
from core.api.served import FieldInfo, ServedViews
from core.api.subscribe import Subscriptions, read_position
from core.caller import Caller
from core.command.transact import ViewLoop
from core.quota import size_of
from pcloud.errors import Rejected
from pcloud.revision import Revision
from projections.graph.port import GraphReader

__all__ = ["Answer", "Executor"]


@dataclass(slots=True)
class Answer:
    """`data` is None when a field that must have a value failed. `revision`: what the answer is based on."""

    data: dict[str, Any] | None
    revision: str
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"data": self.data}
        if self.errors:
            body["errors"] = self.errors
        return body | {"extensions": {"revision": self.revision}}


class Executor:
    """Everything that answers, put together by `core.api.api`."""

    def __init__(
        self,
        served: ServedViews,
        graph: GraphReader,
        loops: tuple[ViewLoop, ViewLoop | None, ViewLoop],
        queries: Queries,
        mutations: Mutations,
        subscriptions: Subscriptions,
        epoch: str,
        limits: ApiLimits,
    ) -> None:
        self._served, self._graph, self._epoch, self._limits = served, graph, epoch, limits
        self._graph_loop, self._search_loop, self._directory_loop = loops
        self._queries, self._mutations, self._subscriptions = queries, mutations, subscriptions
        self._documents = Documents(limits)
        self._introspection = Introspection(limits.introspection_seconds)

    async def prepare(self, caller: Caller, body: Mapping[str, Any], headers: Mapping[str, str]) -> Request:
        """Read a request's body; raises `Rejected`, `BadRequest`, `NotFound`."""
        text, name, variables = body.get("query"), body.get("operationName"), body.get("variables") or {}
        if not isinstance(text, str) or not text.strip():
            raise Rejected('the body has no `query`: send {"query": "{ … }", "variables": {…}}')
        if not isinstance(name, str | None) or not isinstance(variables, dict):
            raise Rejected("`operationName` must be a text and `variables` an object")
        check_values(variables, self._limits)
        served = self._served.of(caller)
        document = await self._documents.get(served.version, served.schema, text)
        request = prepare(caller, served, document, name, variables, headers, self._limits)
        if not all(step.extra is not None and step.extra.checks_scope for step in request.operation.steps):
            caller.demand("manage" if request.operation.kind == "mutation" else "view")
        return request

    async def wait(self, request: Request) -> None:
        """Until the views have what the caller has seen (`Pcloud-Revision`) and the types that it asks for; raises `Rejected` or
        `Unavailable`."""
        asks_apps = any(map(_asks_apps, request.operation.steps))
        if asks_apps and self._graph.checkpoint.sequence < self._served.declared:
            await self._graph_loop.wait_for(self._served.declared)
        if not (revision := request.header("Pcloud-Revision")):
            return
        sequence = read_position(revision, self._epoch)
        await (self._graph_loop if asks_apps else self._directory_loop).wait_for(sequence)
        searches = any(step.root is not None and step.root.kind == "search" for step in request.operation.steps)
        if searches and self._search_loop is not None:
            await self._search_loop.wait_for(sequence)

    async def run(self, request: Request) -> Answer:
        """Answer a query or mutation; errors of single fields are in the answer."""
        if request.operation.kind == "mutation":
            return await self._mutate(request)
        answer = Answer({}, str(Revision(self._epoch, self._graph.checkpoint.sequence)))
        await self._fields(request, answer, request.operation.steps)
        return answer

    def subscribe(self, request: Request) -> AsyncGenerator[dict[str, Any], None]:
        """The `data` of each message."""
        return self._subscriptions.run(request, self.refresh)

    def holds(self, request: Request) -> bool:
        """Whether the caller's view is still the one that the request was prepared for. Raises `NotFound`."""
        return self._served.of(request.caller) is request.served

    async def refresh(self, request: Request) -> Request:
        """The same request against the caller's view of now; raises as `prepare` where that no longer has what is asked for."""
        if self.holds(request):
            return request
        name = request.operation.node.name
        body = {"query": request.document.text, "operationName": name.value if name else None}
        return await self.prepare(request.caller, body | {"variables": dict(request.raw_variables)}, request.headers)

    async def _mutate(self, request: Request) -> Answer:
        steps = request.operation.steps
        changes = [step for step in steps if step.root is not None]
        commands = [step for step in steps if step.extra is not None]
        if changes and commands:
            raise Rejected(
                f"`{commands[0].name}` is no change of the graph: send it in an operation of its own, "
                "apart from those that are one transaction"
            )
        answer = Answer({}, "")
        payloads: dict[str, Any] = {}
        if changes:
            try:
                payloads, revision = await self._mutations.run(request, changes)
            except Exception as error:
                answer.errors = error_answer(error, [changes[0].key])
                answer.data = None
                revision = Revision(self._epoch, self._graph.checkpoint.sequence)
            answer.revision = str(revision)
            if answer.data is None:
                return answer
        await self._fields(request, answer, steps, payloads)
        answer.revision = answer.revision or str(Revision(self._epoch, self._graph.checkpoint.sequence))
        return answer

    async def _fields(
        self, request: Request, answer: Answer, steps: tuple[Step, ...], known: Mapping[str, Any] | None = None
    ) -> None:
        data: dict[str, Any] = {}
        lacking, left = False, self._limits.answer
        for step in steps:
            try:
                data[step.key] = known[step.key] if known and step.key in known else await self._field(request, step)
                if (left := left - size_of(data[step.key], left)) < 0:
                    raise Rejected("the answer is too large: ask for smaller pages (`first`) or fewer fields")
            except Exception as error:
                answer.errors += error_answer(error, [step.key])
                data[step.key] = None
                lacking = lacking or step.required
        answer.data = None if lacking else data

    async def _field(self, request: Request, step: Step) -> Any:
        if step.extra is not None:
            assert step.definition is not None
            info = FieldInfo(request.served.view, request.headers, step.key)
            value = await step.extra.resolve(request.caller, request.arguments(step), info)
            return complete(value, step.definition.type, step.fields, request.planner)
        if step.root is not None:
            return await self._queries.answer(request, step)
        if step.name == "__typename":
            return step.plan
        return await self._introspection.answer(request, step)


def _asks_apps(step: Step) -> bool:
    """Whether a root field is about more than core's own types and commands."""
    if step.root is None or step.root.kind == "revision":
        return False
    return step.root.type is None or not step.root.type.stored.startswith("core/")
