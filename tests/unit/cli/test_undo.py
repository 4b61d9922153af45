"""`pcloud undo` reports exactly what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.cli import undo


@pytest.mark.parametrize("repeated", [False, True])
def test_check_mark_is_printed_only_for_an_undo(
    repeated: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Client:
        async def graphql(self, query: str, variables: dict[str, Any]) -> Any:
            return {"undo": {**variables, "revision": "abc.7", "entities": 2, "leftOut": [], "repeated": repeated}}

    @asynccontextmanager
    async def opened(data: Path) -> AsyncIterator[Client]:
        yield Client()

    monkeypatch.setattr(undo, "open_client", opened)
    undo.undo("0" * 32, Path())
    told = "".join(capsys.readouterr())
    assert "abc.7" in told
    assert ("✓" in told, "already undone" in told) == (not repeated, repeated)
