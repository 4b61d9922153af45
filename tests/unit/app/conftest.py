"""Archives made by hand, since the packer refuses to make invalid ones."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

MANIFEST = b"name: tiny\nversion: 1.0.0\nrun:\n  command: [python, -m, tiny]\n"

Entry = tuple[str, bytes] | tarfile.TarInfo


def make_tar(entries: Iterable[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            tar.addfile(info, io.BytesIO(entry[1]))
    return buffer.getvalue()


def make_zip(entries: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo()
            info.filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.fixture(params=[make_tar, make_zip], ids=["tar", "zip"])
def make_archive(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    """Both formats follow the same rules."""
    return request.param


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "tiny").mkdir(parents=True)
    (folder / "app.yaml").write_bytes(MANIFEST)
    (folder / "tiny" / "__main__.py").write_text("print('hello')\n")
    return folder


def deflated(content: bytes) -> bytes:
    return gzip.compress(content)
