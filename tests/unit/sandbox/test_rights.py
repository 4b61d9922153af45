"""Which rights the sandbox's first program still has when it becomes the app; run in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from core.apps.sandbox.user import free_users

PROGRAM = """
import json, os, resource, sys
from core.apps.sandbox.starter import give_up_rights
user, groups, limits = json.loads(sys.argv[1])
if groups:
    os.setgroups(groups)
give_up_rights(limits, user)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "ids": [*os.getresuid(), *os.getresgid()], "groups": os.getgroups(),
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in limits},
    **{name: status[name] for name in ("NoNewPrivs", "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")},
}))
"""


def test_the_app_has_no_right_group_or_user_of_cores() -> None:
    users = free_users()
    user = users.start if users else 0
    limits = {"CORE": 0, "NOFILE": 512}
    passed = json.dumps([user, [4, 24, 27] if user else [], limits])
    done = subprocess.run([sys.executable, "-c", PROGRAM, passed], capture_output=True, text=True, check=True)
    left = json.loads(done.stdout)
    assert left["NoNewPrivs"] == "1"
    assert {int(left[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert left["limits"] == {"CORE": [0, 0], "NOFILE": [512, 512]}
    if user:
        assert left["ids"] == [user] * 6 and left["groups"] == [] and int(left["CapBnd"], 16) == 0
    else:
        assert set(left["ids"]) == {os.getuid(), os.getgid()}
