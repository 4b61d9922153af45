"""What an app's process gets in its sandbox: folders, variables, limits, ports, and the outside hosts that it may reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from core.apps.process.environment import key_variables, variables
from core.apps.process.folders import AppFolders
from core.apps.process.reach import Reach
from core.apps.sandbox import CellPlan, Limits, Published
from core.apps.sandbox.cell import BUS_PORT, GATEWAY_PORT
from core.apps.sandbox.command import CACHE, DATA, KEYS, Mounts, python
from core.apps.sandbox.loopback import LOOPBACK
from core.apps.settings import AppSettings
from projections.directory import App

__all__ = ["WEB_PORT", "confined_plan"]

# Where an app in a sandbox listens: its network is separate, so the number is always free.
WEB_PORT = 8080


def confined_plan(
    app: App,
    folders: AppFolders,
    environment: Path,
    reach: Reach,
    settings: AppSettings,
    ports: Mapping[str, Published],
) -> CellPlan:
    """`environment`: the app's Python. `ports`: those that it publishes, by name."""
    run, resources = app.manifest.run, app.resources
    assert run is not None
    reaches = tuple(reach.reaches(app.name))
    outside = reach.doors(app.name, sorted({one.address for one in (*reaches, *ports.values())}))
    path = f"{environment}/bin:{Path(python()).parent}:/usr/local/bin:/usr/bin:/bin"
    ours = {
        **outside.environment, "PCLOUD_URL": f"http://{LOOPBACK}:{GATEWAY_PORT}", "NATS_URL": f"nats://{LOOPBACK}:{BUS_PORT}",
        "PCLOUD_DATA": DATA, "HOME": DATA, **key_variables(folders, Path(KEYS)), "PATH": path, "PYTHONPYCACHEPREFIX": CACHE,
    }  # fmt: skip
    replaced = settings.overrides.get(app.name, {})
    # The cache is of this code in this environment.
    cache = folders.root / "cache" / f"{app.archive[:20]}-{environment.name}"
    return CellPlan(
        app.name, folders.root,
        Mounts(
            folders.code(app.archive), folders.data, folders.bus_seed.parent, folders.root / "etc", environment, cache,
        ),
        tuple(run.command), variables(app, ours, settings=replaced, port=WEB_PORT if run.web else 0, ports=ports),
        urlsplit(settings.nats_url).port or 4222, Limits(resources.memory, resources.processes, resources.disk, resources.files),
        run.web or bool(run.ports), tuple(ports.values()), reaches, outside.openings, outside.hosts,
    )  # fmt: skip
