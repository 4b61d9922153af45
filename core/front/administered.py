"""The protocol of the node that the administration socket commands.

`core.node.node.Node` is one; it is made above this wing, so only its shape is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from core.access.audit import Audit
from core.apps import Apps
from core.front.metrics import Metrics
from core.graph.api import Api
from core.people.device.pair import Devices
from core.work.call import Calls
from core.work.processor import Processor
from eventstore import EmbeddedServer

__all__ = ["AdministeredNode"]


class AdministeredNode(Protocol):
    """What the administration socket commands. `address`: of the web server; `private_address`: one that can't be guessed, or ''."""

    @property
    def server(self) -> EmbeddedServer: ...
    @property
    def apps(self) -> Apps: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def api(self) -> Api: ...
    @property
    def calls(self) -> Calls: ...
    @property
    def processor(self) -> Processor: ...
    @property
    def devices(self) -> Devices: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def address(self) -> str: ...
    @property
    def private_address(self) -> str: ...

    def sign_in_link(self, address: str) -> str: ...
    async def change_credential(self, present: str | None = None) -> str: ...
    def instant_copy(self) -> AbstractAsyncContextManager[dict[str, Any]]: ...
    async def status(self) -> dict[str, Any]: ...
    async def verify(self, progress: Callable[[str, str], None]) -> dict[str, Any]: ...
    async def rebuild(
        self, projection: str, to: str, back: bool, progress: Callable[[str, str], None]
    ) -> dict[str, Any]: ...
