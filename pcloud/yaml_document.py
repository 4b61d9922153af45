"""A YAML document read into msgspec structs, with the exact place of each mistake.

YAML 1.2 rules apply: `on`, `yes` and `1_000` are text. Refused are anchors and aliases (a few lines of them can expand
to gigabytes), tags, duplicate and unknown keys, deep nesting and large files.
"""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypeVar, cast

import msgspec
import yaml
from yaml.error import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pcloud.errors import Rejected

__all__ = ["YamlDocument"]

Model = TypeVar("Model", bound=msgspec.Struct)
Path = tuple[str | int, ...]
TEXT_BYTES = 64 * 1024
DEPTH = 24


class _Loader(yaml.SafeLoader):
    """Composes nodes only. YAML 1.2's core schema, implemented here, decides what a scalar means."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = cast("Any", self).peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not allowed here: write the value out",
                problem_mark=event.start_mark,
            )
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.MarkedYAMLError(
                problem=f"the tag {event.tag} is not allowed here", problem_mark=event.start_mark
            )
        self.depth += 1
        if self.depth > DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEPTH} levels", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class YamlDocument:
    """`file`: its name in messages."""

    def __init__(self, text: str | bytes, file: str) -> None:
        self.file = file
        self._places = dict[Path, Mark]()
        self._root = self._compose(text)

    def refuse(self, path: Path, message: str) -> NoReturn:
        """Raise `Rejected` with the position of `path`, or of the nearest enclosing value."""
        while path and path not in self._places:
            path = path[:-1]
        mark = self._places.get(path)
        raise Rejected(f"{self._at(mark)}: {message}")

    def read(self, model: type[Model]) -> Model:
        """Read the document as `model`; raises `Rejected` for the first mistake."""
        return self._struct(self._root, model, ())

    def _compose(self, text: str | bytes) -> Node:
        size = len(text if isinstance(text, bytes) else text.encode(errors="replace"))
        if size > TEXT_BYTES:
            raise Rejected(f"{self.file}: {size} bytes are too many: at most {TEXT_BYTES}")
        loader = None
        try:
            loader = _Loader(text if isinstance(text, str) else text.decode())
            root = loader.get_single_node()
        except UnicodeDecodeError as error:
            raise Rejected(f"{self.file}: byte {error.start} is not UTF-8") from error
        except yaml.MarkedYAMLError as error:
            problem = " ".join(part for part in (error.context, error.problem) if part)
            if error.context == "while scanning an alias":
                problem = "a text that begins with * must be in quotes"
            raise Rejected(f"{self._at(error.problem_mark or error.context_mark)}: {problem}") from error
        except yaml.YAMLError as error:
            raise Rejected(f"{self.file}: {' '.join(str(error).split())}") from error
        finally:
            if loader is not None:
                cast("Any", loader).dispose()
        if root is None:
            raise Rejected(f"{self.file}:1:1: the file is empty")
        return root

    def _at(self, mark: Mark | None) -> str:
        return f"{self.file}:{mark.line + 1}:{mark.column + 1}" if mark else self.file

    def _fail(self, node: Node, message: str) -> NoReturn:
        raise Rejected(f"{self._at(node.start_mark)}: {message}")

    def _value(self, node: Node, kind: Any, path: Path) -> Any:
        """Read `node` as the type `kind`."""
        self._places[path] = node.start_mark
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Annotated:
            return self._value(node, parts[0], path)
        if origin in (typing.Union, types.UnionType):
            return self._union(node, parts, path)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(node, kind, path)
        if origin is list:
            items = self._expect(node, SequenceNode, "a list", path).value
            return [self._value(item, parts[0], (*path, number)) for number, item in enumerate(items)]
        if origin is dict:
            return {key: self._value(value, parts[1], (*path, key)) for key, value in self._pairs(node, path).items()}
        if kind is Any:
            return self._plain(node, path)
        return self._scalar(node, kind, path)

    def _union(self, node: Node, kinds: tuple[Any, ...], path: Path) -> Any:
        """A list or a single value, as in `event: created` and `event: [created, deleted]`; or neither."""
        lists = [kind for kind in kinds if typing.get_origin(kind) is list]
        others = [kind for kind in kinds if kind not in lists and kind is not type(None)]
        chosen = lists if isinstance(node, SequenceNode) and lists else others
        return self._value(node, chosen[0], path)

    def _struct(self, node: Node, model: type[Model], path: Path) -> Model:
        self._places[path] = node.start_mark
        fields = {field.encode_name: field for field in msgspec.structs.fields(model)}
        values = dict[str, Any]()
        for key, value in self._pairs(node, path, known=fields).items():
            values[fields[key].name] = self._value(value, fields[key].type, (*path, key))
        for name, field in fields.items():
            if field.required and field.name not in values:
                self._fail(node, f"{_title(path)} has no '{name}': add it")
        return model(**values)

    def _pairs(self, node: Node, path: Path, known: Mapping[str, Any] | None = None) -> dict[str, Node]:
        pairs = dict[str, Node]()
        for key, value in self._expect(node, MappingNode, "a mapping (key: value)", path).value:
            if not isinstance(key, ScalarNode):
                self._fail(key, "a key must be text")
            name = key.value
            if known is not None and name not in known:
                self._fail(key, f"unknown key '{name}'{_nearest(name, known)}")
            if name in pairs:
                first = pairs[name].start_mark.line + 1
                self._fail(key, f"the key '{name}' is used twice (first in line {first}): remove one")
            pairs[name] = value
        return pairs

    def _expect(self, node: Node, kind: type[Any], words: str, path: Path) -> Any:
        if not isinstance(node, kind):
            self._fail(node, f"{_title(path)} must be {words}, not {_kind(node)}")
        return node

    def _scalar(self, node: Node, kind: Any, path: Path) -> Any:
        raw: ScalarNode = self._expect(node, ScalarNode, _words(kind), path)
        meant = _meant(raw)
        if kind is str and meant is not None:
            return raw.value  # `version: 1.0` is text where text is wanted
        if kind is float and type(meant) is int:
            return float(meant)
        if typing.get_origin(kind) is Literal:
            if raw.value not in typing.get_args(kind):
                hint = _nearest(raw.value, typing.get_args(kind))
                self._fail(node, f"{_title(path)} must be {_words(kind)}, not {_kind(node)}{hint}")
            return raw.value
        if type(meant) is not kind:
            self._fail(node, f"{_title(path)} must be {_words(kind)}, not {_kind(node)}")
        return meant

    def _plain(self, node: Node, path: Path) -> Any:
        """Read any value as JSON types."""
        if isinstance(node, MappingNode):
            return {key: self._value(value, Any, (*path, key)) for key, value in self._pairs(node, path).items()}
        if isinstance(node, SequenceNode):
            return [self._value(item, Any, (*path, number)) for number, item in enumerate(node.value)]
        return _meant(cast("ScalarNode", node))


_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def _meant(node: ScalarNode) -> str | int | float | bool | None:
    """A scalar's value by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), except octal, hex, NaN
    and infinity, which JSON does not have."""
    text: str = node.value
    if node.style is not None:  # a quoted or block scalar
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text) and len(text) < 20:
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _title(path: Path) -> str:
    """`triggers[0].on` in a form for people."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"'{text.lstrip('.')}'" if text else "the file"


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return f"'{node.value}'" if _meant(cast("ScalarNode", node)) is not None else "nothing"


def _words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(value) for value in typing.get_args(kind))
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}.get(kind, str(kind))


def _nearest(name: str, known: Any) -> str:
    """A hint at the key that was probably meant."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; known are {', '.join(sorted(known))}"
