"""The Python environment of an app: its locked wheels and the node's own SDK, in its own folder.

An environment is identified by what goes into it (lock, SDK, interpreter), so apps with the same lock share one, and
a changed SDK makes new ones. It is built in a temporary folder and renamed, so that one under its final name is
complete even after a kill. Only wheels are installed, each checked against its hash; no code of the archive runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from core.apps.archive.requirements import leave_out
from pcloud.errors import Unavailable

__all__ = ["Environments", "sdk_hash"]

BUILDING = ".building-"
UNWANTED = shutil.ignore_patterns("__pycache__", "*.pyc", "dist", "*.toml", "*.md")
OUTPUT = 4000
# Dependencies of the SDK that are published as source only. A lock of wheels can't install them, so they come from the
# node like the SDK itself, also if a lock names them.
WITHOUT_WHEELS = ("nkeys",)
# Variables that a shell around core may have set and that would lead uv to another environment than the one given.
MISLEADING = (
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
    "UV_REQUIRE_HASHES",
)


class Environments:
    """All environments of this node, below `folder`. `sdk`: the folder of the `pcloud` package. `cache`: uv's, None for
    its own default. `seconds` bounds one installation."""

    def __init__(self, folder: Path, sdk: Path, *, cache: Path | None = None, seconds: float = 900.0):
        self._folder = folder
        self._sdk = sdk
        self._sdk_hash = ""
        self._cache = cache
        self._seconds = seconds
        self._building: dict[str, asyncio.Lock] = {}

    async def provide(self, lock: str) -> Path:
        """Return the environment for a lock ('' for the SDK alone), building it if it is missing; `bin/python` is in
        it.

        Raises `Unavailable` with uv's message if a wheel can't be downloaded.
        """
        path = self.path(lock)
        async with self._building.setdefault(path.name, asyncio.Lock()):
            if not path.exists():
                await self._build(path, lock)
        return path

    def path(self, lock: str) -> Path:
        """The path of the environment for a lock, even if it is not built yet."""
        if not self._sdk_hash:
            self._sdk_hash = "".join(sdk_hash(folder) for folder in self._from_node().values())
        parts = (leave_out(lock, WITHOUT_WHEELS), self._sdk_hash, sys.version, sysconfig.get_platform())
        return self._folder / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]

    def clean(self, used: Iterable[str]) -> None:
        """Remove half-built environments that a killed node left, and the environments of locks that apps no longer use."""
        keep = {self.path(lock).name for lock in used}
        if self._folder.exists():
            for entry in self._folder.iterdir():
                if entry.name not in keep:
                    shutil.rmtree(entry, ignore_errors=True)

    async def _build(self, path: Path, lock: str) -> None:
        building = path.with_name(f"{BUILDING}{path.name}")
        await asyncio.to_thread(shutil.rmtree, building, True)
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            await self._uv(
                "venv", "--quiet", "--relocatable", "--no-project", "--python", sys.executable, str(building)
            )
            if wheels := leave_out(lock, WITHOUT_WHEELS):
                await self._install(building, wheels)
            await asyncio.to_thread(self._finish, building, path)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, building, True)
            raise

    async def _install(self, building: Path, lock: str) -> None:
        file = building / "requirements.lock"
        file.write_text(lock)
        options = ("--quiet", "--no-build", "--require-hashes", "--python", str(building / "bin" / "python"))
        try:
            # Hashes decide what is installed, so the cache is as good as the network, and works without one.
            await self._uv("pip", "sync", "--offline", *options, str(file))
        except Unavailable:
            await self._uv("pip", "sync", *options, str(file))

    def _finish(self, building: Path, path: Path) -> None:
        [packages] = building.glob("lib/python*/site-packages")
        for name, source in self._from_node().items():
            shutil.copytree(source, packages / name, ignore=UNWANTED, dirs_exist_ok=True)
        # All of it must be on the disk before the name marks it as complete.
        os.sync()
        building.rename(path)

    def _from_node(self) -> dict[str, Path]:
        """The packages that apps get from the node, by name."""
        return {"pcloud": self._sdk, **{name: _installed(name) for name in WITHOUT_WHEELS}}

    async def _uv(self, *arguments: str) -> None:
        import uv

        environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
        if self._cache is not None:
            environment["UV_CACHE_DIR"] = str(self._cache)
        process = await asyncio.create_subprocess_exec(
            uv.find_uv_bin(), *arguments, cwd=self._folder, env=environment, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise Unavailable(
                f"the app's packages were not installed within {self._seconds:.0f} s: try again"
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            words = output[-OUTPUT:].decode(errors="replace").strip()
            raise Unavailable(f"the app's packages can't be installed (uv ended with {process.returncode}): {words}")


def _installed(package: str) -> Path:
    """The folder of a package in the node's own environment."""
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None, f"{package} is among the node's own requirements"
    return Path(found.origin).parent


def sdk_hash(folder: Path) -> str:
    """The hash of all files of a package that apps would get."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        ignored = UNWANTED(str(file.parent), [*path.parts])
        if file.is_file() and not ignored:
            digest.update(f"{path.as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()
