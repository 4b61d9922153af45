"""An app that says that it can't answer calls now is shown so, with the reason."""

from __future__ import annotations

import os
import signal
import textwrap

import pytest

from core.apps.process.folders import AppFolders
from pcloud.errors import Unavailable
from tests.integration.app.platform import approve_all
from tests.waiting import until

SCRIPT = """
    import http.client, http.server, json, os, pathlib, socket, threading, time

    def tell(reason):
        connection = http.client.HTTPConnection("pcloud")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(os.environ["PCLOUD_URL"].removeprefix("unix://"))
        connection.request("POST", "/readiness", json.dumps({"reason": reason.removesuffix("!"), "serves": reason.endswith("!")}))
        assert connection.getresponse().status == 200

    def reason():
        file = pathlib.Path(os.environ["PCLOUD_DATA"], "reason")
        return file.read_text() if file.exists() else ""

    told = ""
    while True:
        if told != (now := reason()):
            tell(now)
            told = now
        if threading.active_count() == 1:
            server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.BaseHTTPRequestHandler)
            threading.Thread(target=server.serve_forever).start()
        time.sleep(0.02)
"""


async def test_an_app_is_running_when_it_is_ready(platform, make_app):
    file = AppFolders.of(platform.settings.folder, "tiny").data / "reason"

    async def is_now(process: str, reason: str) -> None:
        async def found() -> bool:
            [status] = await platform.apps.list()
            return (status.process, status.reason) == (process, reason)

        await until(found, what=f"{process}: {reason}")
        [vitals] = await platform.apps.vitals()
        assert vitals.up == (process in ("running", "degraded"))

    await platform.apps.install(make_app(script=SCRIPT, web=True), approve=approve_all)
    await is_now("running", "")
    file.write_text("it has no camera")
    await is_now("not-ready", "it has no camera")
    assert "tiny is not ready: it has no camera" in platform.recorder.noted()
    file.write_text("it has no flash!")
    await is_now("degraded", "it has no flash")
    assert platform.recorder.noted()[-1] == "tiny is ready", "calls of it don't wait"
    file.write_text("it has no camera")
    await is_now("not-ready", "it has no camera")
    # What a process said ends with it.
    [status] = await platform.apps.list()
    os.kill(status.pid, signal.SIGSTOP)
    file.unlink()
    os.kill(status.pid, signal.SIGKILL)
    await is_now("running", "")
    assert platform.recorder.noted().count("tiny is ready") == 2
    # One that has worked before is started again and stays up, however long it waits for its camera.
    file.write_text("it looks for its camera")
    await is_now("not-ready", "it looks for its camera")
    await platform.apps.restart("tiny")
    await is_now("not-ready", "it looks for its camera")
    await platform.apps.pause("tiny", "to see it resumed")
    await platform.apps.resume("tiny")
    await is_now("not-ready", "it looks for its camera")
    file.unlink()
    await is_now("running", "")


async def test_a_new_app_has_to_become_ready(platform, make_app):
    """It does not within the time of this platform's settings."""
    script = textwrap.dedent(SCRIPT).replace("def reason():", "def reason():\n    return 'it has no camera'")
    with pytest.raises(Unavailable, match=r"tiny is not ready after .* it has no camera"):
        await platform.apps.install(make_app(script=script, web=True), approve=approve_all)
