from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from eventstore import EmbeddedServer, ServerSettings, open_server
from tests.integration.processor.small_core import Core, start_core


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[EmbeddedServer]:
    async with open_server(ServerSettings(tmp_path / "nats")) as server:
        yield server


@pytest.fixture
async def core(server: EmbeddedServer, tmp_path: Path) -> AsyncGenerator[Core]:
    async with start_core(server, tmp_path, {}) as core:
        yield core
