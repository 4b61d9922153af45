"""The environment variables of an app's process. It gets these alone, whatever core's own environment holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.apps.process.folders import AppFolders
from core.apps.sandbox import Published
from pcloud.stored_manifest import ports_by_setting
from projections.directory import App

__all__ = ["key_variables", "variables"]

# All that an app gets from core's own environment.
PASSED = ("LANG", "TZ", "SSL_CERT_FILE")


def variables(
    app: App, ours: Mapping[str, str], *, settings: Mapping[str, Any], port: int, ports: Mapping[str, Published]
) -> dict[str, str]:
    """Variables that core sets win over the manifest's. `settings`: replace the manifest's. `port`: for its pages, 0
    for none; `ports`: for other apps, by name: it listens there on 127.0.0.1, and they connect to its address."""
    run = app.manifest.run
    numbers = {setting: ports[name].port for name, setting in ports_by_setting(app.manifest).items() if name in ports}
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    return {
        **passed,
        **(run.env if run else {}),
        **ours,
        "PCLOUD_APP": app.name,
        "PCLOUD_SETTINGS": msgspec.json.encode({**app.manifest.settings, **numbers, **settings}).decode(),
        # Buffered output is lost if the process dies.
        "PYTHONUNBUFFERED": "1",
        **{f"PORT_{_capitals(name)}": str(one.port) for name, one in ports.items()},
        **{f"HOST_{_capitals(name)}": one.address for name, one in ports.items()},
        **({"PORT": str(port)} if port else {}),
    }


def _capitals(name: str) -> str:
    return name.upper().replace("-", "_")


def key_variables(folders: AppFolders, folder: Path) -> dict[str, str]:
    """The paths of the app's keys, which lie in `folder` for it."""
    seed, web = folders.bus_seed.name, folders.web_key.name
    return {"NATS_NKEY_SEED_FILE": str(folder / seed), "PCLOUD_WEB_KEY_FILE": str(folder / web)}
