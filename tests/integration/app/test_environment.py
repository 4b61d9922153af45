"""Environments on the disk are complete or absent."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

import pcloud
from core.apps.process.venv import BUILDING, Environments

SDK = Path(pcloud.__file__).parent


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def test_without_a_lock_there_is_python_with_the_sdk(tmp_path):
    environment = await Environments(tmp_path / "all", SDK).provide("")
    code = "import pcloud.errors, sys; print(pcloud.__file__, sys.prefix)"
    said = subprocess.check_output([environment / "bin" / "python", "-c", code], cwd="/", text=True)
    sdk, prefix = said.split()
    assert Path(sdk).is_relative_to(environment) and Path(prefix) == environment


async def test_what_a_killed_node_left_half_built_is_built_again(tmp_path):
    environments = Environments(tmp_path / "all", SDK)
    half = tmp_path / "all" / f"{BUILDING}{environments.path('').name}"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").write_text("half")
    environment = await environments.provide("")
    assert entries(tmp_path / "all") == [environment.name]


async def test_a_cancelled_build_leaves_nothing(tmp_path):
    environments = Environments(tmp_path / "all", SDK)
    building = asyncio.create_task(environments.provide(""))
    while not (tmp_path / "all").exists():
        await asyncio.sleep(0)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert entries(tmp_path / "all") == []


async def test_two_apps_that_ask_at_once_get_the_same(tmp_path):
    environments = Environments(tmp_path / "all", SDK)
    first, second = await asyncio.gather(environments.provide(""), environments.provide("# nothing\n"))
    assert first == second


async def test_another_sdk_is_another_environment_and_unused_ones_go(tmp_path):
    sdk = tmp_path / "pcloud"
    sdk.mkdir()
    (sdk / "__init__.py").write_text("version = 1\n")
    old = await Environments(tmp_path / "all", sdk).provide("")
    (sdk / "__init__.py").write_text("version = 2\n")
    environments = Environments(tmp_path / "all", sdk)
    new = await environments.provide("")
    assert old != new
    (tmp_path / "all" / f"{BUILDING}x").mkdir()
    environments.clean([""])
    assert entries(tmp_path / "all") == [new.name]
