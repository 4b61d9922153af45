"""QuotaRefusals of apps beyond a quota: each one is counted, and the owner is notified once per window."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

__all__ = ["OnExceeded", "QuotaRefusals"]

OnExceeded = Callable[[str, str, str], None]
"""Called with the app, the kind of quota and what happened, once for each app and kind in a window."""


class QuotaRefusals:
    """`window`: seconds in which one refusal of an app and kind is reported. `counts`: by app and kind, since the start."""

    def __init__(
        self,
        on_exceeded: OnExceeded = lambda app, kind, what: None,
        *,
        window: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_exceeded, self._window, self._clock = on_exceeded, window, clock
        self._told: dict[tuple[str, str], float] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, app: str, kind: str, what: str) -> None:
        self.counts[app, kind] += 1
        now = self._clock()
        if now - self._told.get((app, kind), -self._window) >= self._window:
            self._told = {key: at for key, at in self._told.items() if now - at < self._window}
            self._told[app, kind] = now
            self._on_exceeded(app, kind, what)
