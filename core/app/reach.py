"""What an app in its sandbox may reach beyond core: the machine's network, and ports of apps that it may call.

Read from the graph each time, so that a grant that was withdrawn leads nowhere at once.
"""

from __future__ import annotations

from core.app.nodes import AppNodes
from core.app.record import App
from core.caller import Grant
from core.grant.node import ALL_GRANTS, grant_from_row
from core.sandbox import Ports
from projections.graph.port import GraphStore

__all__ = ["Reach"]

ROLE = "role:"


class Reach:
    def __init__(self, graph: GraphStore, nodes: AppNodes, ports: Ports):
        self._graph, self._nodes = graph, nodes
        self.ports = ports

    async def host_network(self, app: str) -> bool:
        return any(grant.verb == "network" and grant.target == "host" for grant in await self._approved(app))

    async def reaches(self, app: str) -> list[tuple[str, int]]:
        """Apps and ports of theirs that `app` may use: those of each app of which it may call an action."""
        others = await self._callable(app)
        return [(other.name, self.ports.number(other.name, port)) for other in others for port in _ports(other)]

    async def may_reach(self, app: str, other: str) -> bool:
        return any(found.name == other for found in await self._callable(app))

    async def _callable(self, app: str) -> list[App]:
        owners = {grant.target.rpartition("/")[0] for grant in await self._approved(app) if grant.verb == "call"}
        apps = sorted((other for other in await self._nodes.all() if other.name != app), key=lambda other: other.name)
        holders: dict[str, App] = {}
        for other in apps:
            for role in other.manifest.provides:
                holders.setdefault(f"{ROLE}{role}", other)
        return [other for other in apps if other.name in owners or any(holders.get(owner) is other for owner in owners)]

    async def _approved(self, app: str) -> list[Grant]:
        grants = [grant_from_row(row) for row in await self._graph.fetch(ALL_GRANTS)]
        return [grant for grant in grants if grant.app == app and grant.state == "approved"]


def _ports(app: App) -> list[str]:
    return list(app.manifest.run.ports) if app.manifest.run else []
