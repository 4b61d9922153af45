"""How much of the log each app may fill with its writes to the graph: the log keeps everything, so a rate alone is not a limit.

The amount written is folded from the log, so it is the same after a restart and on every node. Writes in progress on this node count
as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager

from core.access.quota.actor import charged
from core.access.quota.refusals import QuotaRefusals
from pcloud.errors import Unavailable

__all__ = ["EVENT", "GraphQuota"]

KIND = "graph"
# Bytes of an event apart from its values: subject and headers.
EVENT = 400


class GraphQuota:
    """`written`: bytes by app, as the log has them. `allowed`: bytes that the app may write, 0 for no limit."""

    def __init__(
        self, written: Callable[[str], int], allowed: Callable[[str], int], refusals: QuotaRefusals | None = None
    ) -> None:
        self._written, self._allowed = written, allowed
        self._refusals = refusals or QuotaRefusals()
        self._writing: Counter[str] = Counter()
        self._refused: dict[str, int] = {}  # by app, the size of the last refused write that is still too much

    def used(self, app: str) -> int:
        """Return the bytes that the app has written."""
        return self._written(app)

    def problem(self, app: str) -> str:
        """Return why writes of the app are refused now; '' if they are not, or if the app has not tried."""
        if (size := self._refused.get(app)) is None:
            return ""
        return self._beyond(app, size)

    @contextmanager
    def writing(self, actor: str, count: int, size: int, *, removes: bool = False) -> Generator[None]:
        """`actor` (as in an event's header) writes `count` events that set `size` bytes, until the end of the block. Raises `Unavailable`
        if an app is beyond its quota, unless these events only delete (`removes`)."""
        if not (app := charged(actor)):
            yield
            return
        size += count * EVENT
        if not removes:
            self._check(app, size)
        self._writing[app] += size
        try:
            yield
        finally:
            self._writing[app] -= size
            if not self._writing[app]:
                del self._writing[app]

    def _check(self, app: str, size: int) -> None:
        if what := self._beyond(app, size):
            self._refused[app] = size
            self._refusals.add(app, KIND, what)
            raise Unavailable(what)
        self._refused.pop(app, None)

    def _beyond(self, app: str, size: int) -> str:
        allowed = self._allowed(app)
        if not allowed or self._written(app) + self._writing[app] + size <= allowed:
            return ""
        return (
            f"{app} has written {self._written(app) / 2**20:.1f} MiB into the graph; its quota is {allowed / 2**20:g} MiB in all, "
            f"including what it has changed and deleted since: raise it with `pcloud app limits {app} --graph SIZE`"
        )
