"""A handler's arguments are checked against its own type hints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pcloud.action import ActionHandler
from pcloud.app import App
from pcloud.errors import Rejected


async def add_picture(
    place: str,
    size: int = 0,
    tags: list[str] = [],  # noqa: B006 - that it is not shared is what is tested
    scale: float = 1,
    extra: dict[str, Any] | None = None,
) -> Any:
    tags.append("seen")
    return place, size, tags, scale, extra


def test_the_name_is_the_functions_with_hyphens() -> None:
    assert ActionHandler(add_picture).name == "add-picture"
    with pytest.raises(Rejected, match="not an action name"):
        ActionHandler(add_picture, "Add Picture")


def test_defaults_fill_in_and_are_never_shared() -> None:
    action = ActionHandler(add_picture)
    for _ in range(2):
        result = asyncio.run(action.invoke(action.check({"place": "images/a.jpg", "scale": 2})))
        assert result == ("images/a.jpg", 0, ["seen"], 2.0, None)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "missing argument 'place'"),
        ({"place": 3}, "Expected 'str', got 'int' - for argument 'place'"),
        ({"place": "a", "size": "3"}, "Expected 'int', got 'str' - for argument 'size'"),
        ({"place": "a", "size": True}, "Expected 'int', got 'bool'"),
        ({"place": "a", "tags": [1]}, "Expected 'str', got 'int' - for argument 'tags[0]'"),
        ({"place": "a", "colour": 1}, "there is no argument 'colour'"),
        ([], "Expected"),
    ],
)
def test_a_wrong_argument_is_named(arguments: Any, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        ActionHandler(add_picture).check(arguments)
    assert refused.value.message.startswith("action add-picture: ")
    assert reason in refused.value.message


def test_a_function_that_takes_anything_gets_anything() -> None:
    def keep(first: int, **rest: Any) -> dict[str, Any]:
        return {"first": first, **rest}

    action = ActionHandler(keep)
    assert asyncio.run(action.invoke(action.check({"first": 1, "second": 2}))) == {"first": 1, "second": 2}


def test_two_functions_for_one_action_are_refused() -> None:
    app = App({})
    app.action("dig")(add_picture)
    with pytest.raises(Rejected, match="answered by two functions"):
        app.action("dig")(add_picture)


def test_an_app_outside_of_a_node_says_what_is_missing() -> None:
    app = App({"PCLOUD_APP": "dog"})
    with pytest.raises(Rejected, match="PCLOUD_URL is not set: a PCloud node sets it"):
        _ = app.name
    with pytest.raises(Rejected, match="only available inside an action's handler"):
        app.context()
