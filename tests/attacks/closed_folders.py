"""A core that is not root, and an app that closes its folders to itself: what is counted, copied and removed, as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from core.apps.life.data_snapshot import Snapshots
from core.apps.process.folders import AppFolders
from core.apps.process.log import AppLog
from core.apps.sandbox import Ports, probe
from tests.integration.sandbox.prisoner import Prisoner, plan_for

SECONDS = 30.0


def hide() -> None:
    """24 MiB in files that cannot be read, in a folder that cannot be entered, in one that cannot be listed."""
    import os

    os.makedirs("/data/listed/entered")
    for number in range(24):
        with open(f"/data/listed/entered/{number}", "wb", buffering=0) as file:
            file.write(b"x" * 2**20)
            os.fchmod(file.fileno(), 0)
    os.chmod("/data/listed/entered", 0)
    os.chmod("/data/listed", 0o100)


async def main(folder: Path) -> None:
    one = Prisoner(
        plan_for(folder / "apps", "one", disk=16 * 2**20),
        probe(),
        Ports(folder / "apps"),
        AppLog(folder / "one.log", limit=10**6, longest=999),
    )
    try:
        await one.start()
        await one.do(hide)
        async with asyncio.timeout(SECONDS):
            while not one.over:
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    finally:
        await one.supervisor.stop()
    folders = AppFolders(folder / "apps" / "one")
    snapshots = Snapshots(folders.data, folders.snapshots)
    snapshots.take("a" * 64)
    copied = snapshots.put_back("a" * 64)
    folders.forget()
    print(json.dumps({"uid": os.getuid(), "over": one.over, "copied": copied, "left": os.listdir(folder / "apps")}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
