"""How many volumes weed may have, and how large they are.

A bucket begins with one volume and gets another one whenever that is full. A volume takes two descriptors of weed's
process, its `.dat` and its `.idx`, for as long as weed runs: if they run out, weed fails to store, and its next start
panics while it loads the volumes. So weed never makes more volumes than its limit allows (`volume.max`), new buckets
are refused a little earlier, and weed is not started if its volumes need more.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

__all__ = ["files_allowed", "files_needed", "largest_volume", "most_buckets", "most_volumes", "volume_mb", "volumes_of"]

_PER_VOLUME = 2
_LEAST_OWN = 128  # weed's own: 70 when idle, the rest for connections
_MOST_FILES = 2**20
_MOST_VOLUMES = 2**16


def files_allowed() -> int:
    """Descriptors that a process of this app may have open; weed raises its own limit to the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)


def most_volumes(files: int) -> int:
    """The most volumes that weed may have with this many descriptors; a quarter of them is for connections."""
    return max(1, min((files - max(_LEAST_OWN, files // 4)) // _PER_VOLUME, _MOST_VOLUMES))


def most_buckets(files: int) -> int:
    """The most volumes, counting one for each empty bucket, with which another bucket is made: the rest is for those
    that grow."""
    return most_volumes(files) * 9 // 10


def files_needed(volumes: int) -> int:
    """The least limit with which this many volumes can be opened and buckets still be made."""
    return max(_LEAST_OWN + volumes * _PER_VOLUME, volumes * _PER_VOLUME * 4 // 3) * 10 // 9 + 4 * _PER_VOLUME


def volume_mb(total: int) -> int:
    """The size of a volume, in MB, on a disk of `total` bytes. To compact one takes as much room as it has, so small
    disks have small volumes."""
    return min(max(total // 256 // 2**20, 32), 1024)


def largest_volume(data: Path) -> int:
    """The bytes of the largest volume's file, 0 without one."""
    sizes = [0]
    for file in data.glob("*.dat"):
        with suppress(FileNotFoundError):  # its bucket was deleted meanwhile
            sizes.append(file.stat().st_size)
    return max(sizes)


def volumes_of(data: Path) -> dict[str, int]:
    """The number of volumes by bucket, '' for those of none."""
    found = dict[str, int]()
    for file in data.glob("*.dat"):
        bucket = file.stem.rpartition("_")[0]
        found[bucket] = found.get(bucket, 0) + 1
    return found
