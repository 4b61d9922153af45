"""`pcloud fetch`: fetches now what is otherwise fetched on first use, for example before a machine goes offline."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from core.cli.terminal import AsJson, FilesOption, console, facts, plain, print_json
from core.shipped.fetched import FetchedFiles, FetchProgress
from core.shipped.places import APPS

__all__ = ["fetch", "fetch_app", "fetch_photographs", "shown"]

IMPORTER = "image-importer"


def fetch(files: FilesOption, as_json: AsJson = False) -> None:
    """Fetch now what is otherwise fetched on first use: the bundled apps' weights and the sample photographs."""
    from core.apps.archive.bounds import ArchiveBounds
    from core.apps.archive.bundled import BundledApps

    bundled = BundledApps(APPS, ArchiveBounds())
    names = list(bundled.manifests())
    with shown() as progress:
        for name in names:
            FetchedFiles(files).provide(bundled.packages(name), progress)
    photographs = fetch_photographs(files)
    if as_json:
        print_json({"files": str(files), "apps": names, "photographs": str(photographs)})
    else:
        facts.print(f"{plain(files)} holds what {', '.join(names)} and the sample photographs need")


def fetch_app(name: str, files: Path) -> bytes:
    """Return the archive of a bundled app; fetch its files with visible progress. Raises `NotFound`, `Unavailable`."""
    from core.apps.archive.bounds import ArchiveBounds
    from core.apps.archive.bundled import BundledApps

    with shown() as progress:
        return BundledApps(APPS, ArchiveBounds(), FetchedFiles(files)).archive(name, progress)


def fetch_photographs(files: Path) -> Path:
    """Return the folder of the sample photographs."""
    from core.shipped.photographs import sample_photographs

    with shown() as progress:
        return sample_photographs(FetchedFiles(files), python_with_pillow, progress)


def python_with_pillow(folder: Path) -> Path:
    """Return the Python of an environment below `folder` with the Pillow version of the image importer's lock."""
    import pcloud
    from core.apps import read_archive
    from core.apps.archive.bounds import ArchiveBounds
    from core.apps.archive.bundled import BundledApps
    from core.apps.archive.requirements import keep_only
    from core.apps.process.venv import Environments

    lock = read_archive(BundledApps(APPS, ArchiveBounds()).archive(IMPORTER)).lock
    environments = Environments(folder, Path(pcloud.__file__).parent)
    return asyncio.run(environments.provide(keep_only(lock, {"pillow"}))) / "bin" / "python"


@contextmanager
def shown() -> Generator[FetchProgress]:
    """Show a bar for each package that is fetched; nothing if all are present."""
    tasks: dict[str, TaskID] = {}
    bars = Progress(
        SpinnerColumn(), TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn(),
        console=console,
    )  # fmt: skip

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            bars.start()
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    try:
        yield show
    finally:
        if tasks:
            bars.stop()
