"""What PCloud knows of tantivy beyond what that library documents: all of it is here, and a test says what an update has changed.

- Files of an index (`src/directory/footer.rs`). tantivy ends each with a footer that holds the CRC-32 of the content, and
  does not check it: contents · footer (JSON, has "crc") · length of the footer (4 bytes) · 1337 (4 bytes), little-endian.
  `meta.json` names the segments.
- A panic in its Rust code arrives as an exception that is not an `Exception`, of a class that can't be imported.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from pathlib import Path
from typing import Any

__all__ = ["first_damaged", "is_panic"]

_MAGIC = 1337
_END = struct.Struct("<II")
_LONGEST_FOOTER = 50_000
_PIECE = 4 * 2**20


def is_panic(error: BaseException) -> bool:
    """True if tantivy's own code has failed; the process can go on."""
    return type(error).__name__ == "PanicException"


def first_damaged(folder: Path) -> str:
    """The name of a file that is damaged or missing; '' if all of the index's files are whole."""
    meta = folder / "meta.json"
    if not meta.exists():
        return ""
    try:
        segments = [_segment(one) for one in json.loads(meta.read_bytes())["segments"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return meta.name
    for segment, opstamp in segments:
        deleted = f"{segment}.{opstamp}.del"
        # Other lists of deleted documents belong to former or unfinished commits.
        files = sorted(path for path in folder.glob(f"{segment}.*") if path.suffix != ".del" or path.name == deleted)
        if not {".store", ".term", ".idx"} <= {path.suffix for path in files}:
            return f"{segment}.*"
        if opstamp is not None and not (folder / deleted).exists():
            return deleted
        for path in files:
            if not _whole(path):
                return path.name
    return ""


def _whole(path: Path) -> bool:
    size = path.stat().st_size
    if size < _END.size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        length, magic = _END.unpack(held[size - _END.size :])
        end = size - _END.size - length
        if magic != _MAGIC or length > _LONGEST_FOOTER or end < 0:
            return False
        try:
            expected = json.loads(held[end : end + length])["crc"]
        except (ValueError, KeyError, TypeError):
            return False
        found = 0
        for start in range(0, end, _PIECE):
            found = zlib.crc32(held[start : min(end, start + _PIECE)], found)
    return found == expected


def _segment(found: dict[str, Any]) -> tuple[str, Any]:
    """Its name, and the number of its list of deleted documents (None: no list)."""
    deletes: dict[str, Any] = found["deletes"] or {"opstamp": None}
    return str(found["segment_id"]).replace("-", ""), deletes.get("opstamp")
