"""Where the things are that come with PCloud: beside this file in an installed wheel, in the repository in a clone."""

from __future__ import annotations

from pathlib import Path

import platformdirs

__all__ = ["APPS", "CHANGELOG", "CLONE", "SDK_WHEELS", "default_files_folder"]

HERE = Path(__file__).parent
# The repository, None in an installed wheel, which has its apps as archives.
CLONE = None if (HERE / "apps").is_dir() else HERE.parents[1]
# A folder of archives, or of app folders.
APPS = CLONE / "apps" if CLONE else HERE / "apps"
SDK_WHEELS = HERE / "sdk"
CHANGELOG = (CLONE or HERE) / "CHANGELOG.md"


def default_files_folder() -> Path:
    """Where fetched files are kept: shared by all nodes of this user, and safe to delete."""
    return CLONE / ".setup" if CLONE else platformdirs.user_cache_path("pcloud")
