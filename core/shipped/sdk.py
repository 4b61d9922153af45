"""The wheel of the SDK, `pcloud-sdk`, for developers whose Python does not have PCloud: an installed PCloud brings it along.

In a clone it is built when it is asked for, by the hatchling of the development tools.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from core.shipped.places import CLONE, SDK_WHEELS
from pcloud.errors import Unavailable

__all__ = ["lay_sdk_wheel", "sdk_requirement"]


def lay_sdk_wheel(folder: Path) -> Path:
    """Put the wheel into `folder`, which is made; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    if CLONE is None:
        return Path(shutil.copy2(_shipped(), folder))
    try:
        from hatchling.builders.wheel import WheelBuilder
    except ImportError as error:
        raise Unavailable("the SDK's wheel can't be built: hatchling is not installed; run `just setup`") from error
    [built] = WheelBuilder(str(CLONE / "pcloud")).build(directory=str(folder), versions=["standard"])
    return Path(built)


def sdk_requirement() -> str:
    """`pcloud-sdk @ …` of this PCloud, for uv."""
    return f"pcloud-sdk @ {(CLONE / 'pcloud' if CLONE else _shipped()).as_uri()}"


def _shipped() -> Path:
    wheels = list(SDK_WHEELS.glob("pcloud_sdk-*.whl"))
    if len(wheels) != 1:
        raise Unavailable(
            f"{SDK_WHEELS} should hold one wheel of pcloud-sdk, it holds {len(wheels)}: install PCloud again"
        )
    return wheels[0]
