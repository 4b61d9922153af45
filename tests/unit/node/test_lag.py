"""The lag of views: never less than nothing, while events are written and folded."""

from __future__ import annotations

from types import SimpleNamespace

from core.node.lag import projection_lags
from projections.checkpoint import Checkpoint


async def test_lag_is_never_negative_while_projections_fold() -> None:
    """Events are written and folded after the log has answered, before the caller reads on."""
    names = ("directory_loop", "graph_loop", "search_loop", "runs_loop")
    loops = {name: SimpleNamespace(checkpoint=Checkpoint("e", 7, 0)) for name in names}

    async def ends() -> tuple[int, int]:
        for loop in loops.values():
            loop.checkpoint = Checkpoint("e", 9, 0)
        return 8, 8

    last, lags = await projection_lags(ends, SimpleNamespace(**loops))
    assert last == 8 and lags == {name: {"sequence": 7, "lag": 1} for name in lags} and len(lags) == 4
