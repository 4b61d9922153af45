"""What an app in its sandbox may reach beyond core: outside hosts, and ports of apps that it may call.

The directory is read each time, so that withdrawing a grant takes effect at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from core.apps.egress import Doors, Egress, Tally
from core.apps.sandbox import Ports, Published
from core.apps.sandbox.loopback import LOOPBACK
from pcloud.stored_manifest import ports_by_setting
from pcloud.subject import split_name
from projections.directory import App, Changed, Directory

__all__ = ["Reach"]

ROLE = "role:"


class Reach:
    def __init__(self, directory: Directory, ports: Ports, egress: Egress):
        self._directory, self._egress = directory, egress
        self.ports = ports
        directory.on_changed(self._changed)

    def doors(self, app: str, beside: Sequence[str]) -> Doors:
        """Its listeners for the outside hosts that it may reach. `beside`: hosts in its sandbox that need no proxy."""
        return self._egress.doors(app, partial(self._directory.approved, app), beside)

    def outside(self, app: str) -> Tally:
        """Its traffic with outside hosts since core's start."""
        return self._egress.total(app)

    def reaches(self, app: str) -> list[Published]:
        """The ports of others that `app` may use: those of each app with an action that it may call. One that composes
        addresses at 127.0.0.1 is there too."""
        found = list[Published]()
        for other in self._callable(app):
            earlier = ports_by_setting(other.manifest)
            for name in _ports(other):
                port = self.ports.published(other.name, name)
                found += [port, port._replace(address=LOOPBACK)] if name in earlier else [port]
        return found

    def may_reach(self, app: str, other: str) -> bool:
        return any(found.name == other for found in self._callable(app))

    def _changed(self, changed: Changed) -> None:
        """Cut connections to outside hosts when their grant is withdrawn."""
        if changed.touches("Grant"):
            self._egress.recheck(self._directory.approved)

    def _callable(self, app: str) -> list[App]:
        approved = self._directory.approved(app)
        owners = {split_name(grant.target)[0] for grant in approved if grant.verb == "call"}
        apps = sorted(self._directory.records.apps.values(), key=lambda other: other.name)
        holders: dict[str, App] = {}
        for other in apps:
            for role in other.manifest.provides if other.name != app else ():
                holders.setdefault(f"{ROLE}{role}", other)
        return [
            other
            for other in apps
            if other.name != app and (other.name in owners or any(holders.get(owner) is other for owner in owners))
        ]


def _ports(app: App) -> list[str]:
    return list(app.manifest.run.ports) if app.manifest.run else []
