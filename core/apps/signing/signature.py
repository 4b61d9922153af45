"""The signature of an archive: it is part of the one file, and covers every byte of it except itself.

A `.tar.gz` carries it as a second, empty gzip member whose extra field (RFC 1952, 2.3.1.1) holds the text; a `.zip`
as its comment. So a signed archive is still an archive for every program, and the signed bytes are exactly those of
the archive without the signature. The text is one of two, as the tools themselves write them:

    an SSHSIG block                      ssh-keygen -Y sign -n pcloud-app -f KEY ARCHIVE
    a minisign public key, a signature   minisign -S -s KEY -m ARCHIVE

A signature proves that the holder of a key signed the archive. It does not say whose key it is: the owner has to
compare that.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from core.apps.signing import minisign, sshsig
from pcloud.errors import Rejected

__all__ = ["NAMESPACE", "Signer", "attach_signature", "signer_of", "split_signature"]

NAMESPACE = "pcloud-app"
LONGEST_TEXT = 16 * 2**10
GZIP = b"\x1f\x8b"
# Deflate with an extra field, no time, unknown system; then, behind the field, an empty stream with its CRC and length.
MEMBER_HEAD = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"
MEMBER_TAIL = b"\x03\0" + bytes(8)
SUBFIELD = b"PC"
ZIP_END = b"PK\x05\x06"
ZIP_END_LENGTH = 22
# A signature of either kind begins no farther from the end than this.
FARTHEST = 128 * 2**10


@dataclass(frozen=True, slots=True)
class Signer:
    """`kind`: minisign or ssh. `key`: the public key of minisign, the fingerprint of ssh. `name`: what the signer wrote
    under the signature, '' for nothing; as trustworthy as the key."""

    kind: str
    key: str
    name: str = ""


def signer_of(archive: bytes | Path) -> Signer | None:
    """Return who signed the archive, None if it is not signed; raises `Rejected` for an invalid signature. Only the end
    of a file is read, unless it is signed."""
    if isinstance(archive, Path):
        if not split_signature(_ends(archive))[1]:
            return None
        archive = archive.read_bytes()
    content, text = split_signature(archive)
    if not text:
        return None
    if split_signature(content)[1]:
        raise Rejected("the archive is signed twice: sign the one that `pcloud app pack` made")
    if text.startswith(sshsig.BEGIN):
        return Signer("ssh", sshsig.verify(text, content, NAMESPACE))
    key, comment = minisign.verify(text, content)
    return Signer("minisign", key, comment)


def attach_signature(archive: bytes, text: str) -> bytes:
    """Return the archive with this signature in place of an earlier one; raises `Rejected` if the signature is not valid."""
    content, _ = split_signature(archive)
    if not text.isascii() or not text or len(text) > LONGEST_TEXT:
        raise Rejected(f"a signature must be at most {LONGEST_TEXT} plain ASCII characters long")
    raw = text.encode()
    signed = content + _gzip_member(raw) if content.startswith(GZIP) else _with_comment(content, raw)
    if signer_of(signed) is None:
        raise Rejected("that is not a signature: make one with minisign, or with `ssh-keygen -Y sign`")
    return signed


def split_signature(archive: bytes) -> tuple[bytes, str]:
    """Return the signed bytes and the signature's text, '' for an unsigned archive. Nothing is verified here."""
    content, raw = _split_gzip(archive) if archive.startswith(GZIP) else _split_zip(archive)
    if raw and not (raw.isascii() and len(raw) <= LONGEST_TEXT):
        raise Rejected("the archive's signature can't be read: sign it again with `pcloud app sign`")
    return content, raw.decode()


def _ends(path: Path) -> bytes:
    """Return the file's first bytes, which show its format, and its last ones, where a signature would be."""
    with path.open("rb") as file:
        head = file.read(len(GZIP))
        file.seek(max(len(head), file.seek(0, os.SEEK_END) - FARTHEST))
        return head + file.read()


def _gzip_member(raw: bytes) -> bytes:
    field = SUBFIELD + struct.pack("<H", len(raw)) + raw
    return MEMBER_HEAD + struct.pack("<H", len(field)) + field + MEMBER_TAIL


def _split_gzip(data: bytes) -> tuple[bytes, bytes]:
    """Every byte behind the content must belong to a signature in exactly one form, so nothing can hide there."""
    shortest = len(_gzip_member(b""))
    start = data.rfind(MEMBER_HEAD, max(1, len(data) - shortest - LONGEST_TEXT))
    if start < 0 or data[start + len(MEMBER_HEAD) + 2 :][: len(SUBFIELD)] != SUBFIELD:
        return data, b""
    raw = data[start + shortest - len(MEMBER_TAIL) : -len(MEMBER_TAIL)]
    if not raw or data[start:] != _gzip_member(raw):
        raise Rejected("the archive's signature is damaged: get the archive again, or sign it again")
    return data[:start], raw


def _with_comment(content: bytes, raw: bytes) -> bytes:
    end = _end_of_zip(content)
    if end < 0:
        raise Rejected("this is neither a .tar.gz nor a .zip: make an archive with `pcloud app pack FOLDER`")
    return content[: end + ZIP_END_LENGTH - 2] + struct.pack("<H", len(raw)) + raw


def _split_zip(data: bytes) -> tuple[bytes, bytes]:
    """A comment that is not a signature belongs to the archive and is signed like the rest."""
    end = _end_of_zip(data)
    raw = data[end + ZIP_END_LENGTH :] if end >= 0 else b""
    if not raw.startswith((sshsig.BEGIN.encode(), minisign.BEGIN.encode())):
        return data, b""
    return data[: end + ZIP_END_LENGTH - 2] + b"\0\0", raw


def _end_of_zip(data: bytes) -> int:
    """Return where the zip's end record begins whose comment ends with the file; -1 if it has none."""
    end = data.rfind(ZIP_END, max(0, len(data) - ZIP_END_LENGTH - 0xFFFF))
    if end < 0 or len(data) < end + ZIP_END_LENGTH:
        return -1
    (length,) = struct.unpack_from("<H", data, end + ZIP_END_LENGTH - 2)
    return end if end + ZIP_END_LENGTH + length == len(data) else -1
