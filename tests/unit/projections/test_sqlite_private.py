"""What PCloud reads in SQLite's messages: a version that words them differently fails here with a plain message."""

from __future__ import annotations

import sqlite3

import pytest

from projections.graph.sqlite.sqlite_private import is_another_layout, is_beyond_a_bound

CHANGED = f"SQLite {sqlite3.sqlite_version} words this differently: see projections/graph/sqlite/sqlite_private.py"
BEYOND = {
    "integer overflow": "SELECT sum(n) FROM (SELECT 9223372036854775807 AS n UNION ALL SELECT 1)",
    "too large": "SELECT 1" + " + 1" * 2_000,
    "too many": "SELECT " + ", ".join(["1"] * 40_000),
}
DEEP = "SELECT " + "(" * 200_000 + "1" + ")" * 200_000
GONE = ("SELECT * FROM gone", "SELECT gone FROM here", "INSERT INTO here (gone) VALUES (1)", "CREATE TABLE here (a)")


def refused(statement: str) -> sqlite3.Error:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE here (a)")
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(statement).fetchall()
    connection.close()
    return caught.value


@pytest.mark.parametrize("statement", BEYOND.values(), ids=BEYOND.keys())
def test_a_statement_beyond_a_bound_is_known_by_its_message(statement: str) -> None:
    error = refused(statement)
    assert is_beyond_a_bound(error) and not is_another_layout(error), f"{CHANGED}: {error}"


def test_a_deep_statement_is_within_the_bounds_or_known_by_its_message() -> None:
    """SQLite 3.46 and later have no bound of the parser's stack."""
    try:
        sqlite3.connect(":memory:").execute(DEEP)
    except sqlite3.Error as error:
        assert is_beyond_a_bound(error) and not is_another_layout(error), f"{CHANGED}: {error}"


@pytest.mark.parametrize("statement", GONE)
def test_another_layout_is_known_by_its_message(statement: str) -> None:
    error = refused(statement)
    assert is_another_layout(error) and not is_beyond_a_bound(error), f"{CHANGED}: {error}"
