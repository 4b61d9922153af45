"""Packs an application's folder into its archive. The same files always give the same bytes.

One list here and an optional `.pcloudignore` decide what is packed, not git: built pages and downloaded weights are
ignored by git but belong in the archive. Whether the archive holds a valid app is checked by a node.
"""

from __future__ import annotations

import fnmatch
import gzip
import io
import os
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from pcloud.errors import Rejected

__all__ = ["EXCLUDED", "IGNORE_FILE", "packed_files", "packed_folder", "packed_members"]

IGNORE_FILE = ".pcloudignore"
# Caches, and files that installers, editors and systems leave behind; a folder's name ends with a slash.
EXCLUDED = (
    ".git/", ".hg/", ".svn/", "node_modules/", ".venv/", "venv/", "__pycache__/", ".pytest_cache/", ".ruff_cache/",
    ".mypy_cache/", ".hypothesis/", ".cache/", ".vite/", ".svelte-kit/", ".idea/", ".vscode/", "*.egg-info/",
    "htmlcov/", ".coverage", "*.pyc", "*.pyo", "*.map", "*.part", "*.tsbuildinfo", "*~", "*.swp", ".DS_Store",
    "Thumbs.db", ".gitignore", ".gitattributes", IGNORE_FILE,
)  # fmt: skip


def packed_folder(folder: Path, without: Collection[str] = ()) -> bytes:
    """The archive (`.tar.gz`) of a folder, except for the files at the paths `without`. Raises `Rejected` for files
    that an archive can't hold."""
    if folder.is_dir() and not (folder / "app.yaml").is_file():
        raise Rejected(f"{folder} has no app.yaml: name the folder of an app")
    return packed_members(
        (path, bool(file.stat().st_mode & stat.S_IXUSR), file.read_bytes())
        for path, file in packed_files(folder)
        if path not in without
    )


def packed_members(members: Iterable[tuple[str, bool, bytes]]) -> bytes:
    """The archive of these files, in this order: path, whether it is executable, bytes."""
    buffer = io.BytesIO()
    # No file name and no time in the gzip header, and a fixed level, so that the content alone decides the bytes.
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path, executable, content in members:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), 0o755 if executable else 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def packed_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder's archive: the path in the archive and the file, in order. Raises `Rejected`."""
    if not folder.is_dir():
        raise Rejected(f"{folder} is not a folder: name the folder that holds app.yaml")
    return sorted(_files(folder, folder, _patterns(folder)))


def _files(root: Path, folder: Path, patterns: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for entry in os.scandir(folder):
        file = Path(entry.path)
        path = file.relative_to(root).as_posix()
        if _excluded(path, entry.is_dir(follow_symlinks=False), patterns):
            continue
        if entry.is_symlink():
            raise Rejected(
                f"{file} is a symbolic link to {str(file.readlink())!r}: an archive holds plain files only; "
                "copy what it points to"
            )
        if entry.is_dir():
            yield from _files(root, file, patterns)
        elif entry.is_file():
            yield path, file
        else:
            raise Rejected(f"{file} is not a plain file: an archive holds plain files only")


def _patterns(folder: Path) -> tuple[str, ...]:
    try:
        text = (folder / IGNORE_FILE).read_text()
    except FileNotFoundError:
        return EXCLUDED
    lines = (line.strip() for line in text.splitlines())
    return (*EXCLUDED, *(line for line in lines if line and not line.startswith("#")))


def _excluded(path: str, is_folder: bool, patterns: Sequence[str]) -> bool:
    """As in .gitignore, without `!`: a pattern with an inner slash matches the path from the root, any other matches a
    name at any depth."""
    name = path.rpartition("/")[2]
    for pattern in patterns:
        if pattern.endswith("/") and not is_folder:
            continue
        bare = pattern.rstrip("/")
        anchored = "/" in bare
        if fnmatch.fnmatchcase(path if anchored else name, bare.lstrip("/")):
            return True
    return False
