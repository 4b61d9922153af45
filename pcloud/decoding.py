"""`decode`: read a file that a stranger made, in a process that can open and reach nothing else.

    facts = await decode(read_facts, path, seconds=20)

where `read_facts(file: BinaryIO) -> Facts` is at the top of a module. A hole in a codec then gives its finder one wrong
answer, and none of the app's rights: see `pcloud.bounded` for what the function has, and `pcloud.confinement` for how.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pcloud.bounded import RESULT_BYTES, run_bounded

__all__ = ["decode"]

Result = TypeVar("Result")


async def decode(
    function: Callable[..., Result] | str,
    path: Path,
    *args: Any,
    seconds: float = 30.0,
    memory: int = 512 * 2**20,
    result_bytes: int = RESULT_BYTES,
    prepare: Sequence[Any] = (),
) -> Result:
    """`function(file, *args)`, where `file` is the one at `path`, open for reading in binary.

    For the other arguments and the errors, see `pcloud.bounded.run_bounded`.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await run_bounded(
            function, *args, seconds=seconds, memory=memory, result_bytes=result_bytes, file=file, prepare=prepare
        )
    finally:
        os.close(file)
