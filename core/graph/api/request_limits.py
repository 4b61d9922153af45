"""The limits of one caller's requests. Each bounds what a request can cost before it is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from graphql import DocumentNode, FieldNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode

from pcloud.errors import Rejected

__all__ = ["ApiLimits", "check_shape", "check_values"]

CONTAINERS: tuple[type[object], ...] = (dict, list)


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """`body`: bytes of a request. `tokens`, `selections`, `aliases`, `operations`,
    `fragments`, `roots`: in one document. `depth`: levels of nesting.

    `cost`: estimated entities that a query may touch, by the `first` of each list. `page`, `default_page`: entities per list.
    `introspection`: selected fields of the schema itself, each of which returns thousands; `introspection_seconds`: in all.
    `values`, `value_depth`: number and nesting of the values in `variables`. `body_seconds`: time to receive a request's body.
    `connections`: open websockets, `caller_connections`: of one caller; `subscriptions`: on each connection.
    `answer`: about how many bytes one answer has; `answers`: how many answers of one app are in memory at once.
    `cached`: how many parsed documents are kept, each of at most `cached_size` characters.
    """

    body: int = 4 * 2**20
    tokens: int = 20_000
    selections: int = 2_000
    aliases: int = 100
    operations: int = 20
    fragments: int = 100
    roots: int = 50
    depth: int = 12
    introspection_depth: int = 24
    introspection: int = 400
    introspection_seconds: float = 20.0
    values: int = 200_000
    value_depth: int = 64
    body_seconds: float = 30.0
    cost: int = 50_000
    page: int = 1_000
    default_page: int = 100
    offset: int = 1_000_000
    connections: int = 256
    caller_connections: int = 64
    subscriptions: int = 32
    answer: int = 32 * 2**20
    answers: int = 16
    cached: int = 512
    cached_size: int = 16 * 1024


def check_shape(document: DocumentNode, limits: ApiLimits) -> None:
    """Refuse a document that is too deep or too large, before validation, whose work grows with the square of its size."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) > limits.operations:
        raise Rejected(
            f"the document has {len(operations)} operations, {limits.operations} are allowed: send them in parts"
        )
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    if len(document.definitions) - len(operations) > limits.fragments:
        raise Rejected(f"the document has more than {limits.fragments} fragments: send it in parts")
    shape = _Shape(fragments, limits)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            shape.check(node)


def check_values(values: object, limits: ApiLimits) -> None:
    """Refuse variables that are nested too deeply or hold too much, before anything walks through them."""
    level: list[object] = [values]
    count = 0
    for _ in range(limits.value_depth):
        inner = [one for value in level if isinstance(value, CONTAINERS) for one in _members(value)]
        if not inner:
            return
        count += len(inner)
        if count > limits.values:
            raise Rejected(f"`variables` holds more than {limits.values} values: send them in parts")
        level = inner
    raise Rejected(f"`variables` is nested more than {limits.value_depth} levels deep: send something simpler")


def _members(value: object) -> Iterable[object]:
    return cast("dict[str, object]", value).values() if isinstance(value, dict) else cast("list[object]", value)


class _Shape:
    """Depth and number of selections with fragments unfolded. Each fragment is measured once, so nested fragments cost nothing here."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode], limits: ApiLimits) -> None:
        self._fragments, self._limits = fragments, limits
        self._known: dict[str, tuple[int, int]] = {}
        self._open: set[str] = set()
        self.aliases = 0

    def check(self, operation: OperationDefinitionNode) -> None:
        limits = self._limits
        size = roots = introspected = 0
        for selection in operation.selection_set.selections:
            introspects = isinstance(selection, FieldNode) and selection.name.value in ("__schema", "__type")
            depth, count = self._measure(selection)
            allowed = limits.introspection_depth if introspects else limits.depth
            if depth > allowed:
                raise Rejected(f"the query is nested {depth} levels deep, {allowed} are allowed: ask in steps")
            size, roots, introspected = size + count, roots + 1, introspected + count * introspects
        if size > limits.selections:
            raise Rejected(f"the query selects {size} fields, {limits.selections} are allowed: ask in parts")
        if introspected > limits.introspection:
            raise Rejected(
                f"the query selects {introspected} fields of the schema, {limits.introspection} are allowed: ask in parts"
            )
        if roots > limits.roots:
            raise Rejected(f"the operation has {roots} root fields, {limits.roots} are allowed: send them in parts")
        if self.aliases > limits.aliases:
            raise Rejected(f"the query has more than {limits.aliases} aliases: use lists and filters instead")

    def _measure(self, node: object) -> tuple[int, int]:
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value)
        own = 0
        if isinstance(node, FieldNode):
            own = 1
            self.aliases += node.alias is not None
        selections = getattr(getattr(node, "selection_set", None), "selections", ())
        measured = [self._measure(one) for one in selections]
        return own + max((depth for depth, _ in measured), default=0), own + sum(count for _, count in measured)

    def _fragment(self, name: str) -> tuple[int, int]:
        if name in self._open or name not in self._fragments:
            return 0, 0  # a cycle or an unknown name: validation reports it better
        if name not in self._known:
            self._open.add(name)
            self._known[name] = self._measure(self._fragments[name])
            self._open.discard(name)
        return self._known[name]
