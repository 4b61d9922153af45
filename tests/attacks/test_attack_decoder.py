"""A hole in a codec of an app in its real sandbox, used by the stranger who made the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pcloud.testing import open_cloud

# What the SDK needs.
LOCK = Path(__file__).parents[2] / "core" / "cli" / "templates" / "app" / "requirements.lock"
MANIFEST = """
name: prey
version: 1.0.0
actions:
  - name: open-file
run:
  command: [python, prey.py]
"""
APP = """
import os
from urllib.parse import urlsplit

import hole
from pcloud.app import App
from pcloud.decoding import decode

app = App()


@app.action
async def open_file() -> dict:
    path = app.data / "picture"
    path.write_bytes(b"from a stranger")
    ports = [urlsplit(os.environ[name]).port for name in ("PCLOUD_URL", "NATS_URL")]
    places = [str(path), str(app.data), os.environ["NATS_NKEY_SEED_FILE"], __file__, f"/proc/{os.getpid()}/environ"]
    known = (ports, places, os.getpid())
    with path.open("rb") as file:
        return {"app": hole.use(file, *known), "decoder": await decode(hole.use, path, *known)}


if __name__ == "__main__":
    app.run()
"""
HOLE = """
import os
import socket


def use(file, ports: list, places: list, app: int) -> dict:
    done = []

    def attempt(name, action, *args):
        try:
            done.append(name) if action(*args) else None
        except OSError:
            pass

    for port in ports:
        attempt(f"connect {port}", socket.create_connection, ("127.0.0.1", port), 5)
    for place in places:
        attempt(f"find {place}", os.stat, place)
        attempt(f"open {place}", lambda place=place: os.open(place, os.O_RDONLY) + 1)
    attempt("signal", lambda: os.kill(app, 0) is None)
    attempt("environment", lambda: "PCLOUD_URL" in os.environ)
    attempt("process", start)
    return {"read": file.read().decode(), "done": done}


def start():
    if pid := os.fork():
        return os.waitpid(pid, 0)
    os._exit(0)
"""


@pytest.fixture
def prey(tmp_path: Path) -> Path:
    folder = tmp_path / "prey"
    folder.mkdir()
    for name, text in {"app.yaml": MANIFEST, "prey.py": APP, "hole.py": HOLE}.items():
        (folder / name).write_text(text)
    shutil.copy(LOCK, folder)
    return folder


def test_attack_by_a_decoder_in_its_sandbox_has_none_of_the_apps_rights(prey: Path) -> None:
    with open_cloud() as cloud:
        cloud.install(prey)
        seen = cloud.call("prey/open-file")
    assert len(seen["app"]["done"]) == 15  # what the app itself can do
    assert seen["decoder"] == {"read": "from a stranger", "done": []}
