"""A core with one sandboxed app; prints the app's process ids, then waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from core.apps.process.log import AppLog
from core.apps.sandbox import Ports, probe
from tests.integration.sandbox.prisoner import Prisoner, plan_for

BREED = "import os, time\nfor _ in range(2):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\nanswer = 1"


async def main(folder: Path) -> None:
    machine = probe()
    log = AppLog(folder / "tiny.log", limit=10**6, longest=999)
    prisoner = await Prisoner(plan_for(folder / "apps", "tiny"), machine, Ports(folder / "apps"), log).start()
    await prisoner.do(BREED)
    assert prisoner.cell is not None
    groups = [str(path.parent) for path in prisoner.cell.joins]
    print(json.dumps({"members": prisoner.cell.members(), "groups": groups}), flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
