"""What an app in its sandbox may reach beyond core: the machine's network, and ports of apps that it may call.

Asked of the directory each time, so a withdrawn grant leads nowhere at once.
"""

from __future__ import annotations

from core.sandbox import Ports
from projections.directory import App, Directory

__all__ = ["Reach"]

ROLE = "role:"


class Reach:
    def __init__(self, directory: Directory, ports: Ports):
        self._directory = directory
        self.ports = ports

    async def host_network(self, app: str) -> bool:
        return any(grant.verb == "network" and grant.target == "host" for grant in self._directory.approved(app))

    async def reaches(self, app: str) -> list[tuple[str, int]]:
        """Apps and ports of theirs that `app` may use: those of each app of which it may call an action."""
        others = self._callable(app)
        return [(other.name, self.ports.number(other.name, port)) for other in others for port in _ports(other)]

    async def may_reach(self, app: str, other: str) -> bool:
        return any(found.name == other for found in self._callable(app))

    def _callable(self, app: str) -> list[App]:
        approved = self._directory.approved(app)
        owners = {grant.target.rpartition("/")[0] for grant in approved if grant.verb == "call"}
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
