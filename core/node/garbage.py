"""Makes Python collect garbage less often: reference counting frees nearly all objects of a node, and collecting costs more than making
them.

Measured on a rebuild: reading an event from another process takes 7.5 µs with Python's own thresholds and 2.5 µs without.
"""

from __future__ import annotations

import gc

__all__ = ["collect_less"]

YOUNG = 20_000  # net new objects before a collection of the young ones; Python's default: 700 or 2,000


def collect_less() -> None:
    """Apply to the rest of this process. The objects that exist now are taken to stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
