"""A package index for the tests, with one package: as a folder, and over HTTP, where it stalls."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.shipped.fetched import FetchedFiles
from core.shipped.package import Package, PackageFile

CONTENT = b"weights of a network\n" * 1000
NAME = "kennel-1.0-py3-none-any.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which uv finds packages, with one of them."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as wheel:
        wheel.writestr("kennel/data/dog.bin", CONTENT)
        wheel.writestr("kennel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: kennel\nVersion: 1.0\n")
        wheel.writestr("kennel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("kennel-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return folder


@pytest.fixture
def kennel(index: Path) -> Package:
    file = PackageFile("kennel/data/dog.bin", "weights/dog.bin", sha256(CONTENT))
    digest = sha256((index / NAME).read_bytes())
    return Package("kennel", "1.0", digest, 40_000, "x86_64-manylinux_2_28", "3.12", (file,))


@pytest.fixture
def files(tmp_path: Path) -> FetchedFiles:
    return FetchedFiles(tmp_path / "cache" / "pcloud")


@pytest.fixture
def stalled(index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The index over HTTP, which sends half of the package and then nothing."""
    data, ending = (index / NAME).read_bytes(), threading.Event()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f'<a href="{NAME}">{NAME}</a>'.encode()
            body = data if self.path.endswith(".whl") else page
            with suppress(ConnectionError):  # uv may have been ended
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page if body is page else data[: len(data) // 2])
                if body is data:
                    self.wfile.flush()
                    ending.wait(60)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with monkeypatch.context() as patch:
            patch.setenv("UV_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
            yield
        ending.set()
        server.shutdown()
