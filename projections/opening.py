"""Opens a projection at a node's start: the version in use if it is whole and stands on this log, else the one before it,
else a new one. A version in a store that this node is not started with doesn't count: the projection is then built in an
available store.

The node's log says what is wrong with a version. A projection never prevents the start, because the log has all of its data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from pcloud.errors import Corrupt
from projections.disk_space import UNBOUNDED, DiskSpace
from projections.position import PositionLog, misplaced
from projections.rebuild import Rebuilds
from projections.refill import RefillLog
from projections.switch import Switch
from projections.versions import Chosen, OtherVersion, VersionFile, VersionStore, kind_of, next_name

__all__ = ["open_projection"]

log = logging.getLogger("pcloud.view")
S = TypeVar("S", bound=Switch[Any])


async def open_projection(
    make: Callable[[Any, str], S], stores: Mapping[str, VersionStore[Any]], file: VersionFile, source: RefillLog, kind: str,
    disk_space: DiskSpace = UNBOUNDED,
) -> tuple[S, Rebuilds]:  # fmt: skip
    """`make`: a switch from an open version and its name. `kind`: the kind of store if none was chosen yet. `disk_space`: for
    a version beside the one in use. The caller closes the switch."""
    chosen = file.read("")
    if not chosen.current:
        chosen = Chosen(await stores[kind].first())
    if chosen.building and kind_of(chosen.building) not in stores:
        log.error("%s was being built, and this node has no such store now: it is left as it is", chosen.building)
        chosen = replace(chosen, building="")
    opened = None
    for name in (chosen.current, chosen.previous):
        if name and opened is None:
            opened = await _open(stores, name, source)
            if opened is not None and name == chosen.previous:
                chosen = replace(chosen, current=name, previous="")
    if opened is None:
        again = kind_of(chosen.current) if kind_of(chosen.current) in stores else kind
        chosen = Chosen(await next_name(again, stores, chosen))
        log.warning("a view is folded from the log now, as the version %s", chosen.current)
        opened = await stores[again].open(chosen.current)
    file.write(chosen)
    for store in stores.values():
        for name in await store.names():
            if name not in chosen.names:
                await store.drop(name)
    switch = make(opened, chosen.current)
    return switch, Rebuilds(switch, stores, file, source, chosen, disk_space)


async def _open(stores: Mapping[str, VersionStore[Any]], name: str, source: PositionLog) -> Any:
    """None, and a line in the log, for an unusable version."""
    if (store := stores.get(kind_of(name))) is None:
        log.error(
            "the version %s of a view is in a store that this node doesn't have: another one takes its place", name
        )
        return None
    try:
        projection = await store.open(name)
    except OtherVersion as error:
        log.warning("%s", error.message)
        return None
    except Corrupt as error:
        log.error("%s", error.message)
        return None
    if reason := await misplaced(source, projection.checkpoint):
        log.error("the version %s of a view does not belong to this log: %s; it is rebuilt", name, reason)
        await projection.close()
        return None
    return projection
