"""The door to the decoders: what the app's own process may import. Behind it, Pillow is loaded in the subprocess alone."""

from __future__ import annotations

from typing import Any

__all__ = ["inspect_file"]


def inspect_file(path: str, key: str, most_pixels: int) -> dict[str, Any]:
    """`inspect.inspect`, imported where it runs."""
    from .inspect import inspect

    return inspect(path, key, most_pixels)
