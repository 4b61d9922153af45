"""What the store uses of SeaweedFS beyond what that documents: all of it is here, and a test says what an update has changed.

- Lines of its log that say why it ended begin with `F` or `E` (glog's), or with `panic` (Go's).
- Each part listens on a Unix socket in /tmp, without a setting for another place; a killed one leaves it there.
- Extended attributes of a filer's entry: the ETag that S3 answers, and the mark of an object whose key is also a folder.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from object_store.weed.ports import GRPC_OFFSET, Ports

__all__ = ["ETAG", "PREFIX_OBJECT", "last_words", "sockets"]

ETAG = "Seaweed-X-Amz-ETag"
PREFIX_OBJECT = "x-seaweedfs-prefix-object"


def last_words(file: Path) -> str:
    """Why weed ended, by the end of its log."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 4000))
        lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("F", "E", "panic"))]
    return (fatal or lines or ["it said nothing"])[-1][:400]


def sockets(ports: Ports) -> list[Path]:
    """Where weed with these ports has its sockets."""
    parts = asdict(ports)
    parts["s3"] = parts.pop("weed_s3")
    return [
        Path(f"/tmp/seaweedfs-{part}-grpc-{port + GRPC_OFFSET}.sock")  # noqa: S108 (weed's choice)
        for part, port in parts.items()
    ]
