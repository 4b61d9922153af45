"""The part of a node that runs apps, on a temporary folder, and a tiny app to install."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from core.apps import packed
from tests.integration.app.platform import Platform, open_platform

SERVE = """
    import http.server, json, os, sys
    print("args", sys.argv[1:], "settings", os.environ["PCLOUD_SETTINGS"], flush=True)
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/die":
                os._exit(7)
            body = json.dumps(dict(os.environ)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    if "PORT" in os.environ:
        http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
    import time
    time.sleep(3600)
"""


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path / "node") as platform:
        yield platform


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., bytes]:
    """The archive of an app made of a manifest's further lines and one Python file."""

    def make(
        more: str = "",
        *,
        name: str = "tiny",
        version: str = "1.0.0",
        script: str = SERVE,
        web: bool = False,
        ports: str = "",
        **files: str,
    ) -> bytes:
        folder = tmp_path / "sources" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run = f"run: {{command: [python, app.py, {name}], web: {str(web).lower()}, ports: [{ports}]}}\n"
        (folder / "app.yaml").write_text(f"name: {name}\nversion: {version}\n{run}{textwrap.dedent(more)}")
        (folder / "app.py").write_text(textwrap.dedent(script))
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(textwrap.dedent(content))
        return packed(folder).data

    return make
