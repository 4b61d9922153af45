"""A file's name is one that every file system takes, whatever the key or title is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.export.names import FORBIDDEN, collision_key, marked, safe_part


@given(st.text())
@example("..")
@example("")
@example("CON .txt")
@example("a/../../b")
@example("x" * 300 + ".jpeg")
@example("ü" * 300)
@example("\udc80")
def test_part_is_safe_on_every_file_system(text: str) -> None:
    part = safe_part(text)
    assert part and part.isprintable() and not set(part) & FORBIDDEN
    assert part == part.strip(" ").rstrip(".") and not part.startswith(".")
    assert len(part.encode()) <= 161
    assert part.partition(".")[0].rstrip(" ").casefold() not in ("con", "prn", "aux", "nul", "com1", "lpt9")
    assert safe_part(part) == part


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("cat.jpg", "cat.jpg"),
        ("Zoë's cat #1 (2).jpg", "Zoë's cat #1 (2).jpg"),
        ("a/b\\c:d.jpg", "a_b_c_d.jpg"),
        ("aux.h", "_aux.h"),
        (".profile", "_profile"),
        ("x" * 300 + ".jpeg", "x" * 155 + ".jpeg"),
    ],
)
def test_name_stays_as_near_as_it_can(text: str, part: str) -> None:
    assert safe_part(text) == part


def test_names_that_a_file_system_confuses_have_one_key() -> None:
    assert collision_key("A/Cafe\u0301") == collision_key("a/CAFÉ") != collision_key("a/cafe")
    assert marked("a/b.c/cat.tar", "x") == "a/b.c/cat (x).tar"
