"""Fetch the files that an installed PCloud fetches on first use (`pcloud fetch`), and put the apps' files into their
folders.

There they are packed with the app and used by its tests.
"""

from __future__ import annotations

from pathlib import Path

from core.cli.fetch import fetch_photographs, shown
from core.shipped.fetched import FetchedFiles
from core.shipped.package import LIST, read_packages
from core.shipped.places import default_files_folder

ROOT = Path(__file__).parent.parent


def main() -> None:
    files = FetchedFiles(default_files_folder())
    with shown() as progress:
        for found in ROOT.glob(f"apps/*/{LIST}"):
            for to, content in files.provide(read_packages(found.read_bytes(), str(found)), progress).items():
                place(found.parent / to, content)
    fetch_photographs(files.folder)


def place(target: Path, content: bytes) -> None:
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(content)
    part.replace(target)


if __name__ == "__main__":
    main()
