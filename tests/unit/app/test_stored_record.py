"""The record of an app that an earlier version of PCloud installed."""

from __future__ import annotations

import json

from core.apps.life.upgrade import new_inits
from pcloud.manifest import Manifest
from projections.directory.app import read_app

OLD = {
    "name": "images",
    "version": "1.0.0",
    "init": [{"call": "role:store/watch", "args": {"webhook": "action:images/new"}}],
}
NEW = {"webhook": {"action": "images/new"}}


def test_work_of_an_old_init_action_is_not_repeated() -> None:
    previous = {
        "version": "1", "archive": "a", "manifest": OLD, "schema": "", "catalog": "", "at": "",
        "earlier": json.dumps({"version": "0", "archive": "b", "manifest": OLD, "schema": "", "catalog": "", "at": ""}),
    }  # fmt: skip
    fields = {"version": "1", "state": "RUNNING", "manifest": json.dumps(OLD), "previous": json.dumps(previous)}
    app = read_app("images", fields)
    assert app.previous is not None
    before = app.previous.before()
    assert before is not None
    for manifest in (app.manifest, app.previous.manifest, before.manifest):
        assert manifest.init[0].args == NEW
        assert new_inits(manifest, Manifest("images", "2.0.0", init=app.manifest.init)) == []
