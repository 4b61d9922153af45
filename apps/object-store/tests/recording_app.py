"""The store as a separate process that can be killed: `recording_app.py FOLDER RUNS.sqlite3 [SETTINGS]`.

It records sends in SQLite as core would: a run per key, and how often each came. Prints the S3 address and key pair as
JSON once it serves.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from object_store.settings import Settings
from object_store.store import open_store


async def main(folder: Path, runs: Path, settings: dict[str, Any]) -> None:
    db = sqlite3.connect(runs, isolation_level=None, timeout=10)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE IF NOT EXISTS run (id TEXT PRIMARY KEY, object TEXT, times INTEGER)")

    told = runs.with_name("told")

    async def send(target: str, arguments: Mapping[str, Any], key: str) -> None:
        row = (key, arguments["key"])
        db.execute("INSERT INTO run VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1", row)

    async def ask() -> dict[str, dict[str, int]]:
        return {"app:photos": dict.fromkeys(("issue-credentials", "get-object", "put-object"), 1)}

    async with open_store(Settings(folder, **settings), send, ask) as store, asyncio.TaskGroup() as group:
        store.health.tell = lambda reason, serves: told.write_text(f"{serves} {reason}")
        group.create_task(store.run())
        await store.create_bucket("app:photos", "images", "capability:abc")
        admin, process = store.server.secrets.admin, store.server.process
        assert process
        facts = {
            "endpoint": store.endpoint,
            "access_key": admin.access_key,
            "secret_key": admin.secret_key,
            "weed": process.pid,
        }
        print(json.dumps(facts), flush=True)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3] if sys.argv[3:] else "{}")))
