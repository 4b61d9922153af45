"""The command in the unit of `pcloud service` starts a node, under the unit's restrictions that hold without systemd, and tells
the journal no secret."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from tests.forked import run_command
from tests.node_process import NodeProcess
from tests.waiting import PATIENCE


def test_the_units_command_runs_a_node_and_the_journal_learns_no_secret(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "no de")
    environment = {**os.environ, "PCLOUD_FILES": str(tmp_path / "files")}
    arguments = (
        "service",
        "install",
        "--print",
        "--data",
        str(node.data),
        "--listen",
        "127.0.0.1:1",
    )
    unit = run_command(arguments, environment).stdout
    command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert command and "NoNewPrivileges=yes" in unit
    words = shlex.split(command[1])
    # A unit has no free port to choose, and another test may take any that we choose now.
    words[words.index("127.0.0.1:1")] = "127.0.0.1:0"
    reading, writing = os.pipe()
    out = os.fstat(writing)
    with node.log.open("w") as log:
        node.process = subprocess.Popen(
            ["setpriv", "--no-new-privs", *words], stdout=writing, stderr=log, cwd="/",
            env={**environment, "JOURNAL_STREAM": f"{out.st_dev}:{out.st_ino}"},
        )  # fmt: skip
    os.close(writing)
    said = ""
    with os.fdopen(reading) as lines:
        for line in lines:
            said += line
            if "pcloud owner reset" in line:
                break
        assert "PCloud is up at" in said, node.log.read_text()
        node.install("random-puppy")
        assert [app["sandbox"].partition("+")[0] for app in node.json("app", "list", "--json")] == ["bubblewrap"]
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(PATIENCE) == 0
        said += lines.read()
    for secret in ("owner_", "signin?code="):
        assert secret not in said + node.log.read_text()
