"""A trigger's arguments: Jinja expressions over `event` and `node`, rendered to native values.

`"{{ node.size }}"` alone gives the number, `"{{ node.place }}.jpg"` a text, and a text without `{{` is used as it
is. Only expressions: no statements, calls, loops or methods, and only numbers can be multiplied, so that a
manifest can't block core or fill its memory. Compiled and checked once, when the app is attached; from then on it is known
which fields of the node are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pcloud.errors import Rejected

__all__ = ["Arguments", "compile_arguments"]

Path = tuple[str, ...]
Made = TypeVar("Made")
LENGTH = 4096
DEPTH = 8
MISSING = object()
FILTERS = frozenset({"abs", "default", "first", "float", "int", "join", "last", "length", "lower", "replace", "round", "string",
                     "tojson", "trim", "upper"})  # fmt: skip
_EXPRESSIONS: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter,
    nodes.Test, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat, nodes.List, nodes.Dict,
    nodes.Pair, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Neg, nodes.Pos, nodes.Tuple, nodes.Keyword,
)  # fmt: skip
Render = Callable[[Mapping[str, Any]], Any]


class _Environment(ImmutableSandboxedEnvironment):
    """A dot looks up a name in a mapping and nowhere else: a field may be called `items`, and values have no methods."""

    intercepted_binops = frozenset({"*"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict | list):
            try:
                return cast("dict[Any, Any]", obj)[argument]  # or a list, which is asked in the same way
            except (KeyError, IndexError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise SecurityError("only numbers can be multiplied")
        return left * right


def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, autoescape=False, cache_size=0)
    known = cast("dict[str, Any]", environment.filters)  # pyright: ignore[reportUnknownMemberType]
    environment.filters = {name: function for name, function in known.items() if name in FILTERS}
    environment.globals = {}
    return environment


class Arguments:
    """Compiled arguments. `paths`: the fields of `node` that they need, each a chain of names through relations."""

    def __init__(self, renders: Mapping[str, Render], paths: frozenset[Path]) -> None:
        self._renders = renders
        self.paths = paths

    def render(self, event: Mapping[str, Any], node: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the arguments for one event. Raises `Rejected` naming the argument that can't be made."""
        names = {"event": event} if node is None else {"event": event, "node": node}
        rendered: dict[str, Any] = {}
        for name, render in self._renders.items():
            try:
                rendered[name] = _plain(render(names))
            except Exception as error:  # any error of a filter comes from this event, and would come again
                raise Rejected(f"the argument {name} can't be rendered: {error}") from error
        return rendered


def compile_arguments(args: Mapping[str, Any]) -> Arguments:
    """Raises `Rejected` for a text that is not an expression, or not an allowed one."""
    environment = _environment()
    paths: set[Path] = set()
    renders = {name: _compile(environment, name, value, paths, DEPTH) for name, value in args.items()}
    return Arguments(renders, frozenset(paths))


def _compile(environment: _Environment, name: str, value: Any, paths: set[Path], depth: int) -> Render:
    if depth == 0:
        raise Rejected(f"the argument {name} is nested too deeply")
    if isinstance(value, str):
        return _compile_text(environment, name, value, paths)
    if isinstance(value, list):
        members = [_compile(environment, name, member, paths, depth - 1) for member in cast("list[Any]", value)]
        return lambda names: [member(names) for member in members]
    if isinstance(value, dict):
        entries = {
            str(key): _compile(environment, name, member, paths, depth - 1)
            for key, member in cast("dict[str, Any]", value).items()
        }
        return lambda names: {key: member(names) for key, member in entries.items()}
    return lambda names: value


def _compile_text(environment: _Environment, name: str, text: str, paths: set[Path]) -> Render:
    if len(text) > LENGTH:
        raise Rejected(f"the argument {name} is longer than the {LENGTH} characters that a template may have")
    parsed = _checked(name, text, lambda: environment.parse(text))
    _check(name, parsed)
    paths.update(_node_paths(name, parsed))
    if (expression := _sole_expression(parsed, text)) is not None:
        evaluate = _checked(name, text, lambda: environment.compile_expression(expression, undefined_to_none=False))
        path = _path_of(parsed)
        return lambda names: _defined(evaluate(**names)) if (value := _found(names, path)) is MISSING else value
    template = _checked(name, text, lambda: environment.from_string(text))
    return lambda names: template.render(**names)


def _checked(name: str, text: str, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except TemplateError as error:  # for example, an unknown test
        raise Rejected(f"the argument {name} is not a template: {error}; it is {text!r}") from error


def _sole_expression(parsed: nodes.Template, text: str) -> str | None:
    """Return the text between the braces if it is a single expression and nothing else."""
    outputs = [member for output in parsed.find_all(nodes.Output) for member in output.nodes]
    if len(outputs) != 1 or isinstance(outputs[0], nodes.TemplateData):
        return None
    inner = text.strip().removeprefix("{{").removesuffix("}}")
    # A sign right at the braces controls the white space around them; after a blank it belongs to the expression.
    return inner.removeprefix("-").removeprefix("+").removesuffix("-").removesuffix("+").strip()


def _path_of(parsed: nodes.Template) -> Path:
    """Return the names of an expression that is only a lookup, such as `event.id`; () for any other. Most arguments
    are lookups, and a dictionary is a lot faster than an environment of Jinja's."""
    (output,) = (member for output in parsed.find_all(nodes.Output) for member in output.nodes)
    names: list[str] = []
    while isinstance(output, nodes.Getattr):
        names.append(output.attr)
        output = output.node
    return (output.name, *reversed(names)) if isinstance(output, nodes.Name) else ()


def _found(names: Mapping[str, Any], path: Path) -> Any:
    """Look the path up; MISSING for no path, and for names that Jinja has to report as undefined."""
    value: Any = names if path else MISSING
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = cast("dict[str, Any]", value)[name]
    return value


def _defined(value: Any) -> Any:
    if isinstance(value, StrictUndefined):
        str(value)  # raises jinja2's UndefinedError with its message
    return value


def _plain(value: Any) -> Any:
    """Convert to JSON types: `tojson` gives a text of its own class, a list may hold undefined values."""
    if isinstance(value, StrictUndefined):
        return _defined(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(member) for member in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in cast("dict[str, Any]", value).items()}
    return value


def _check(name: str, parsed: nodes.Template) -> None:
    for node in (parsed, *parsed.find_all(nodes.Node)):
        if not isinstance(node, _EXPRESSIONS):
            raise Rejected(
                f"the argument {name} holds a {type(node).__name__.lower()}: only expressions such as "
                "'{{ event.id }}' or '{{ node.size // 2 }}' are allowed, no statements, calls or slices"
            )
        if isinstance(node, nodes.Name) and node.name not in ("event", "node"):
            raise Rejected(f"the argument {name} names {node.name!r}: there are `event` and `node`")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise Rejected(f"the argument {name} uses the filter {node.name!r}: there are {', '.join(sorted(FILTERS))}")


def _node_paths(name: str, parsed: nodes.Template) -> set[Path]:
    """Return every chain of names that starts at `node`; of `node.image.place` only the whole one."""
    inner: set[int] = set()
    paths: set[Path] = set()
    for node in parsed.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):  # outer before inner
        if id(node) in inner:
            continue
        path: list[str] = []
        current: nodes.Node = node
        while isinstance(current, nodes.Getattr | nodes.Getitem):
            inner.add(id(current.node))
            if isinstance(current, nodes.Getattr):
                path.insert(0, current.attr)
            elif isinstance(current.arg, nodes.Const) and isinstance(current.arg.value, str):
                path.insert(0, current.arg.value)
            current = current.node
        if isinstance(current, nodes.Name) and current.name == "node":
            if not path:
                raise Rejected(f"the argument {name} uses the whole node: name the field, such as node.title")
            paths.add(tuple(path))
    return paths
