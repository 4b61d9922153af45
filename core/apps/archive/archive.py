"""Reads an application's archive (`.tar.gz` or `.zip`) and checks all of it before anything changes.

A checked archive keeps to the bounds, has only plain files inside its own folder, and has a manifest whose
references are consistent. Whether its schema fits the installed ones, and whether what it requires is installed, is
decided in `admission_rules`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO

from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.member import Member, MemberNames
from core.apps.archive.requirements import check_lock
from core.apps.archive.tarball import open_tarball
from core.apps.archive.zipped import open_zip
from pcloud.errors import Rejected
from pcloud.manifest import Manifest
from pcloud.manifest_file import load_manifest

__all__ = ["LOCK", "MANIFEST", "CheckedArchive", "content_hash", "read_archive", "unpack_archive"]

MANIFEST = "app.yaml"
LOCK = "requirements.lock"
GZIP = b"\x1f\x8b"
PIECE = 2**20


@dataclass(frozen=True, slots=True)
class CheckedArchive:
    """`sha256`: of the archive's bytes. `content`: hash of its files' paths, modes and bytes, independent of how they
    were packed. `files`: sizes by path. `lock`: the text of its requirements.lock, '' without one."""

    manifest: Manifest
    schema_text: str
    lock: str
    sha256: str
    content: str
    files: Mapping[str, int]
    source: bytes | Path = field(repr=False)
    bounds: ArchiveBounds = field(default=ArchiveBounds(), repr=False)

    @property
    def data(self) -> bytes:
        """Return the whole archive, in memory."""
        return self.source.read_bytes() if isinstance(self.source, Path) else self.source

    def unpack(self, folder: Path) -> None:
        """See `unpack_archive`."""
        unpack_archive(self.source, folder, self.bounds)


def read_archive(source: bytes | Path, bounds: ArchiveBounds = ArchiveBounds()) -> CheckedArchive:  # noqa: B008 - frozen
    """Read and check the archive, without holding a whole file in memory.

    If `source` is a path, the file must stay while the result is used. Raises `Rejected`, naming the member or the
    line of app.yaml that is wrong.
    """
    with _opened(source) as file:
        if (length := _length(file)) > bounds.packed:
            raise Rejected(f"the archive is {length} bytes long: at most {bounds.packed} are allowed")
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    texts, files, content = _scan(source, bounds)
    if MANIFEST not in texts:
        raise Rejected(f"the archive has no {MANIFEST} at its root{_elsewhere(files)}")
    manifest = load_manifest(texts[MANIFEST], MANIFEST)
    schema = _schema_text(manifest, source, files, bounds)
    lock = texts.get(LOCK, "")
    check_lock(lock, LOCK)
    return CheckedArchive(manifest, schema, lock, sha256, content, files, source, bounds)


def unpack_archive(source: bytes | Path, folder: Path, bounds: ArchiveBounds = ArchiveBounds()) -> None:  # noqa: B008 - frozen
    """Write all files below `folder`, which must not exist yet; modes are 0644 or 0755, folders 0755.

    Does not read the manifest: an installed archive was checked by the rules of its day, and today's may be stricter.
    Raises `Rejected` for anything but plain files inside the folder, and above the bounds.
    """
    folder.mkdir(parents=True)
    with _members(source, bounds) as members:
        for member in members:
            target = folder / member.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file, member.open() as content:
                shutil.copyfileobj(content, file, PIECE)
            target.chmod(0o755 if member.executable else 0o644)


def _opened(source: bytes | Path) -> IO[bytes]:
    if isinstance(source, bytes):
        return BytesIO(source)
    try:
        if source.is_dir():
            raise Rejected(f"{source} is a folder: pack it first with `pcloud app pack`")
        return source.open("rb")
    except OSError as error:
        raise Rejected(f"the archive {source} can't be read: {error.strerror}") from error


def _length(file: IO[bytes]) -> int:
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    return length


def _scan(source: bytes | Path, bounds: ArchiveBounds) -> tuple[dict[str, str], dict[str, int], str]:
    """Read everything once: the manifest and lock, all sizes, and the hash of the content."""
    texts: dict[str, str] = {}
    files: dict[str, int] = {}
    hashes: list[tuple[str, bool, str]] = []
    total = 0
    with _members(source, bounds) as members:
        for member in members:
            digest, size, kept = hashlib.sha256(), 0, bytearray()
            wanted = member.path in (MANIFEST, LOCK)
            with member.open() as content:
                for piece in iter(lambda content=content: content.read(PIECE), b""):
                    size += len(piece)
                    _check_sizes(member, size, total + size, wanted, bounds)
                    digest.update(piece)
                    if wanted:
                        kept += piece
            total += size
            files[member.path] = size
            hashes.append((member.path, member.executable, digest.hexdigest()))
            if wanted:
                texts[member.path] = _text(bytes(kept), member.path)
    return texts, files, content_hash(hashes)


def content_hash(hashes: Iterable[tuple[str, bool, str]]) -> str:
    """`CheckedArchive.content` of these files: path, whether it is executable, sha256."""
    lines = (f"{path}\0{'x' if executable else '-'}\0{sha256}\n" for path, executable, sha256 in hashes)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _check_sizes(member: Member, size: int, total: int, wanted: bool, bounds: ArchiveBounds) -> None:
    if size > member.size:
        raise Rejected(f"the archive's member {member.path!r} is longer than the {member.size} bytes that it claims")
    if total > bounds.unpacked:
        raise Rejected(
            f"the archive holds more than {bounds.unpacked} bytes unpacked, at {member.path!r}: nothing was unpacked"
        )
    if wanted and size > bounds.text:
        raise Rejected(f"{member.path} is longer than {bounds.text} bytes")


def _schema_text(manifest: Manifest, source: bytes | Path, files: Mapping[str, int], bounds: ArchiveBounds) -> str:
    name = manifest.schema
    if not name:
        return ""
    if name not in files:
        raise Rejected(f"{MANIFEST} names the schema {name!r}, which is not in the archive")
    if files[name] > bounds.text:
        raise Rejected(f"the schema {name!r} is longer than {bounds.text} bytes")
    with _members(source, bounds) as members:
        for member in members:
            if member.path == name:
                with member.open() as content:
                    return _text(content.read(), name)
    raise AssertionError(name)


@contextmanager
def _members(source: bytes | Path, bounds: ArchiveBounds) -> Generator[Iterator[Member]]:
    """Yield the plain files; their names are unique."""
    with _opened(source) as file:
        length, head = _length(file), file.read(len(GZIP))
        if head == GZIP:
            open_members = open_tarball
        elif zipfile.is_zipfile(file):
            open_members = open_zip
        else:
            raise Rejected("this is neither a .tar.gz nor a .zip: make an archive with `pcloud app pack FOLDER`")
        file.seek(0)
        with open_members(file, length, bounds) as members:
            yield _unique(members, bounds)


def _unique(members: Iterator[Member | str], bounds: ArchiveBounds) -> Iterator[Member]:
    names = MemberNames()
    count = 0
    for member in members:
        if isinstance(member, str):
            if member:
                names.add_folder(member)
            continue
        if not member.path:
            raise Rejected("the archive has a member without a name")
        count += 1
        if count > bounds.files:
            raise Rejected(
                f"the archive holds more than {bounds.files} files: leave out files that the app does not need"
            )
        names.add_file(member.path)
        yield member


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(f"{name} is not UTF-8 text: byte {error.start} is {raw[error.start]:#04x}") from error


def _elsewhere(files: Mapping[str, int]) -> str:
    found = sorted(path for path in files if path.endswith(f"/{MANIFEST}"))
    return f": it is at {found[0]}; pack that folder's content, not the folder" if found else ": every app needs one"
