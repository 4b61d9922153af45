"""The door to the decoders: the only part of `inspect` that the app's own process may import."""

from __future__ import annotations

from typing import Any

__all__ = ["inspect_file"]


def inspect_file(path: str, key: str, most_pixels: int) -> dict[str, Any]:
    """A stand-in for `inspect.inspect_file`: `run_bounded` takes a function by its module and name and looks it up
    there.

    So Pillow and its codecs are loaded once, in the fork server, and never here, where they would only take memory.
    """
    raise NotImplementedError("call this with run_bounded")


inspect_file.__module__ = f"{__package__}.inspect"
