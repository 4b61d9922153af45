"""An action: a function of the app, its name, and the check of its arguments.

Core has already checked the arguments against the manifest. This module checks them against the function's own type
hints, so that a handler receives exactly the types that it names.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from pcloud.errors import Rejected
from pcloud.msgspec_private import in_terms_of_arguments
from pcloud.subject import check_action

__all__ = ["ActionHandler"]

Function = Callable[..., Any]


class ActionHandler:
    """`function`: a coroutine function, or a plain one, which runs in a thread. Its parameters are passed by name."""

    def __init__(self, function: Function, name: str | None = None) -> None:
        self.name = check_action(name or function.__name__.replace("_", "-"))
        self.function = function
        self._arguments, self._open = _argument_struct(function, self.name)

    def check(self, arguments: Any) -> dict[str, Any]:
        """Return the arguments in the types that the function names; raises `Rejected` with the name of the wrong
        argument."""
        try:
            checked = msgspec.convert(arguments, self._arguments, strict=True)
        except msgspec.ValidationError as error:
            raise Rejected(f"action {self.name}: {in_terms_of_arguments(error)}") from error
        known = {name: getattr(checked, name) for name in checked.__struct_fields__}
        return {**arguments, **known} if self._open else known

    async def invoke(self, arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**arguments)
        return await asyncio.to_thread(self.function, **arguments)


def _argument_struct(function: Function, name: str) -> tuple[type[msgspec.Struct], bool]:
    """A struct with one field per parameter, and True if the function accepts further ones (`**kwargs`)."""
    hints = typing.get_type_hints(function)
    fields = list[tuple[str, Any] | tuple[str, Any, Any]]()
    takes_more = False
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_more = True
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise Rejected(
                f"action {name}: {parameter.name!r} can't be passed by name; actions take named arguments only"
            )
        elif parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint, _default(parameter.default)))
    struct = msgspec.defstruct(
        f"Arguments of {name}", fields, kw_only=True, forbid_unknown_fields=not takes_more, frozen=True
    )
    return struct, takes_more


def _default(value: Any) -> Any:
    """A struct's default. msgspec expects mutable defaults as factories."""
    return msgspec.field(default_factory=lambda: copy.deepcopy(value)) if value.__class__.__hash__ is None else value
