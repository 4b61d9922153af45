"""Attacks on an app's own web server by programs that reach its port without going through PCloud."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcloud.web import USER_HEADER, User, sign_user
from tests.integration.sdk.conftest import free_port

KEY = b"k" * 32
APP = """
from aiohttp import web
from pcloud.app import App

app = App()

async def careless(request):
    return web.Response(text="everything")

@app.unsigned
async def picture(request):
    return web.Response(text="a picture for everybody")

app.web.router.add_route("*", "/", careless)
app.web.router.add_get("/picture", picture)
app.run()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app whose handlers do not check the visitor."""
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    (folder / "app.py").write_text(APP)
    (folder / "web.key").write_bytes(KEY)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), "PORT": str(port), "PCLOUD_APP": "diary",
        "PCLOUD_URL": f"unix://{folder}/none.sock", "PCLOUD_DATA": str(folder), "PCLOUD_WEB_KEY_FILE": str(folder / "web.key"),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, str(folder / "app.py")], env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    while b"ready" not in (line := process.stderr.readline()):
        assert line, "the app has ended"
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)
    process.stderr.close()


def status(url: str, header: str = "", method: str = "GET") -> int:
    request = urllib.request.Request(url, headers={USER_HEADER: header} if header else {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


SIGNED = sign_user(KEY, User("person:owner", "diary", 2e9))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "person:owner",
        f"{SIGNED[:-4]}AAAA",
        sign_user(b"", User("person:owner", "diary", 2e9)),
        sign_user(KEY, User("person:owner", "other", 2e9)),
        sign_user(KEY, User("person:owner", "diary", time.time() - 1)),
    ],
)
def test_attack_a_careless_web_server_refuses_unsigned_requests(address: str, header: str, method: str) -> None:
    assert status(address, header, method) == 403
    assert status(f"{address}/nothing", header, method) == 403
    assert status(address, SIGNED, method) == 200


def test_attack_only_a_handler_that_opts_out_by_name_answers_without_signature(address: str) -> None:
    assert status(f"{address}/picture") == status(f"{address}/picture", SIGNED) == 200
