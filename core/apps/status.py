"""The status of one app: its state in the log and its process on this node."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from core.apps.process.instance import Instance
from core.apps.signing.author import Author
from projections.directory import App

__all__ = ["AppStatus", "status_of"]


@dataclass(frozen=True, slots=True)
class AppStatus:
    """`state`: as in the log (INSTALLING, UPGRADING, RUNNING, PAUSED, FAILED, REMOVING), `step`: the newest step
    towards it; `previous`: the version that a rollback returns to, '' if it has no earlier one. `process`: starting,
    running, degraded (it answers calls, and says what does not work), not-ready (it says that it can't answer calls now),
    backing-off, stopped or failed, '' for an app without one; `reason`: why it is not running, or how far long work on it
    is. `seconds`: time in this process state. `restarts`: since the node started. `author`: who made it, in few words. `sandbox`:
    bubblewrap+cgroup, bubblewrap+uid, bubblewrap or unconfined."""

    name: str
    title: str
    author: str
    version: str
    state: str
    step: str
    error: str
    previous: str
    provides: tuple[str, ...]
    web: bool
    address: str
    process: str
    reason: str
    pid: int | None
    restarts: int
    seconds: float
    log: str
    sandbox: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def status_of(app: App, instance: Instance | None, trouble: str, doing: str = "") -> AppStatus:
    """`doing`: how far long work on it is."""
    supervisor = instance.supervisor if instance else None
    address = instance.web_address if instance else None
    has_process = app.manifest.run is not None
    process, reason = instance.condition if instance else ("stopped" if has_process else "", "")
    return AppStatus(
        name=app.name,
        title=app.title,
        author=Author.of(app).short,
        version=app.version,
        state=app.state.value,
        step=app.step,
        previous=app.previous.version if app.previous else "",
        error=app.error or trouble,
        provides=tuple(app.manifest.provides),
        web=app.web,
        address=f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address or ""),
        process=process,
        reason=doing or reason,
        pid=supervisor.pid if supervisor else None,
        restarts=max(0, supervisor.starts - 1) if supervisor else 0,
        seconds=round(time.time() - supervisor.since, 1) if supervisor else 0.0,
        log=str(instance.folders.log) if instance else "",
        sandbox=instance.sandbox if instance and has_process else "",
    )
