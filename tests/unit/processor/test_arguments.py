"""Arguments of calls against the types in a manifest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.work.call import check_arguments
from pcloud.errors import Rejected


@pytest.mark.parametrize(
    ("type_", "value", "checked"),
    [
        ("ID!", "a", "a"),
        ("ID", 7, "7"),
        ("String", "a", "a"),
        ("String", None, None),
        ("Int", 5_000_000_000, 5_000_000_000),
        ("Int64!", -1, -1),
        ("Float", 3, 3),
        ("Boolean", False, False),
        ("DateTime", "2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("[ID!]!", ["a", 1], ["a", "1"]),
        ("[[Int]]", [[1, None], None], [[1, None], None]),
        ("JSON!", {"any": [1, {"thing": None}]}, {"any": [1, {"thing": None}]}),
    ],
)
def test_matching_arguments_pass(type_: str, value: Any, checked: Any) -> None:
    assert check_arguments("a/b", {"it": type_}, {"it": value}) == {"it": checked}


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("ID!", None), ("ID", 1.5), ("ID", True), ("String", 1), ("Int", "1"), ("Int", True), ("Int", 1.0), ("Int", 2**63),
        ("Float", float("nan")), ("Float", "1"), ("Boolean", 1), ("DateTime", "yesterday"), ("DateTime", "2024-05-01T10:00:00"),
        ("[ID!]", "a"), ("[ID!]", [None]), ("JSON!", None),
    ],
)  # fmt: skip
def test_mismatched_argument_is_refused_by_name_and_type(type_: str, value: Any) -> None:
    with pytest.raises(Rejected) as refused:
        check_arguments("a/b", {"it": type_}, {"it": value})
    assert f"it must be {type_}" in refused.value.message


def test_all_argument_errors_are_named_together() -> None:
    with pytest.raises(Rejected) as refused:
        check_arguments("a/b", {"one": "ID!", "two": "Int"}, {"two": "x", "three": 3, "four": 4})
    message = refused.value.message
    for part in ("a/b", "four, three is unknown", "one: ID! is missing", "two must be Int"):
        assert part in message


def test_missing_optional_argument_stays_missing() -> None:
    assert check_arguments("a/b", {"it": "Int"}, {}) == {}


@given(st.text(min_size=1000))
def test_a_long_wrong_value_does_not_make_a_long_message(value: str) -> None:
    with pytest.raises(Rejected) as refused:
        check_arguments("a/b", {"it": "Int"}, {"it": value})
    assert len(refused.value.message) < 200
