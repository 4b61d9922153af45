"""Documents: parsed, measured and validated once, then kept for the next request with the same text and schema."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    MaxIntrospectionDepthRule,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)

from core.graph.api.errors import BadRequest
from core.graph.api.request_limits import ApiLimits, check_shape
from core.graph.schema.graphql_core import is_aborted
from pcloud.errors import Rejected

__all__ = ["LONG", "Document", "Documents", "collect"]

_RULES = (*specified_rules, MaxIntrospectionDepthRule)
# Validation of a longer document may block other requests noticeably.
LONG = 2_000
_ERRORS = 5  # each error searches all names for a suggestion


class Document:
    """`valid`: checked against the schema that it is kept for. `plans` caches what is planned for the document, keyed by operation
    and by the values that decide what is selected; `variables` caches the readers of each operation's variables."""

    def __init__(self, text: str, node: DocumentNode) -> None:
        self.text, self.node = text, node
        self.valid = False
        self.fragments = {n.name.value: n for n in node.definitions if isinstance(n, FragmentDefinitionNode)}
        self.deciding = _deciding_variables(node)
        self.plans: dict[Any, Any] = {}
        self.variables: dict[int, Any] = {}

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation to run; None if `name` matches no operation, or is missing where it is needed."""
        return get_operation_ast(self.node, name)


def _deciding_variables(document: DocumentNode) -> tuple[str, ...]:
    """The variables that stand in @skip or @include."""
    names: set[str] = set()

    class Directives(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: object) -> None:
            for argument in node.arguments or ():
                if isinstance(argument.value, VariableNode):
                    names.add(argument.value.name.value)

    visit(document, Directives())
    return tuple(sorted(names))


class Documents:
    """A least-recently-used cache. `parse` and `validate` are what Ariadne's `query_parser` and `query_validator` call."""

    def __init__(self, limits: ApiLimits) -> None:
        self._limits = limits
        self._kept: OrderedDict[tuple[int, str], Document] = OrderedDict()
        self._aside = asyncio.Semaphore(1)

    def parse(self, version: int, text: str) -> Document:
        """Return the document of this text, which may still be invalid. Raises `GraphQLSyntaxError` or `Rejected`."""
        key = (version, text)
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return found
        try:
            node = parse(text, max_tokens=self._limits.tokens)
            check_shape(node, self._limits)
        except RecursionError as error:
            raise Rejected("the document is nested too deeply: ask in steps") from error
        return Document(text, node)

    def validate(self, version: int, schema: GraphQLSchema, document: Document) -> list[GraphQLError]:
        """Return the document's errors; keep it if it is valid. Raises `Rejected` if validation would take too long."""
        if document.valid:
            return []
        if errors := validate(schema, document.node, _RULES, max_errors=_ERRORS):
            if any(is_aborted(error) for error in errors):
                raise Rejected("the document repeats the same fields too often to be checked: ask for each once")
            return errors
        document.valid = True
        if len(document.text) <= self._limits.cached_size:
            self._kept[version, document.text] = document
            if len(self._kept) > self._limits.cached:
                self._kept.popitem(last=False)
        return []

    async def get(self, version: int, schema: GraphQLSchema, text: str) -> Document:
        """Return the valid document of this text; a long one is read in a thread. Raises `BadRequest` or `Rejected`."""
        if len(text) < LONG or (version, text) in self._kept:
            return self._valid(version, schema, text)
        async with self._aside:
            return await asyncio.to_thread(self._valid, version, schema, text)

    def _valid(self, version: int, schema: GraphQLSchema, text: str) -> Document:
        try:
            document = self.parse(version, text)
        except GraphQLSyntaxError as error:
            raise BadRequest([error]) from error
        if errors := self.validate(version, schema, document):
            raise BadRequest(errors)
        return document


def collect(
    document: Document, selections: SelectionSetNode | None, type_: str, variables: Mapping[str, Any]
) -> dict[str, list[FieldNode]]:
    """Collect the fields selected on `type_` by response key, in order, fragments unfolded, @skip and @include applied."""
    found: dict[str, list[FieldNode]] = {}
    if selections is not None:
        for field in _fields(document, selections, type_, variables, set()):
            key = field.alias.value if field.alias else field.name.value
            found.setdefault(key, []).append(field)
    return found


def _fields(
    document: Document, selections: SelectionSetNode, type_: str, variables: Mapping[str, Any], seen: set[str]
) -> Iterator[FieldNode]:
    for selection in selections.selections:
        if selection.directives and not _included(selection, variables):
            continue
        if isinstance(selection, FieldNode):
            yield selection
            continue
        fragment: FragmentDefinitionNode | InlineFragmentNode | None = None
        if isinstance(selection, InlineFragmentNode):
            fragment = selection
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
            seen.add(selection.name.value)
            fragment = document.fragments.get(selection.name.value)
        if fragment is not None and _applies(fragment, type_):
            yield from _fields(document, fragment.selection_set, type_, variables, seen)


def _applies(fragment: FragmentDefinitionNode | InlineFragmentNode, type_: str) -> bool:
    condition = fragment.type_condition
    return condition is None or condition.name.value in (type_, "AnyNode")


def _included(selection: SelectionNode, variables: Mapping[str, Any]) -> bool:
    for directive in selection.directives or ():
        name = directive.name.value
        if name in ("skip", "include"):
            assert directive.arguments  # validation requires `if`
            value = directive.arguments[0].value
            holds = (
                variables.get(value.name.value) if isinstance(value, VariableNode) else getattr(value, "value", None)
            )
            if bool(holds) == (name == "skip"):
                return False
    return True
