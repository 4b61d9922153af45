"""Manifests from before handed-over actions had a form of their own."""

from __future__ import annotations

import msgspec

from pcloud.manifest import Init, Manifest, Trigger, TriggerOn
from pcloud.stored_manifest import upcast_manifest

OLD, NEW = "action:images/new-object", {"action": "images/new-object"}


def test_old_init_action_hands_over_the_same_actions() -> None:
    old = Manifest(
        "images", "1.0.0", init=[Init("role:store/watch", {"bucket": "images", "webhook": OLD}), Init("x/y")]
    )
    new = Manifest(
        "images", "1.0.0", init=[Init("role:store/watch", {"bucket": "images", "webhook": NEW}), Init("x/y")]
    )
    assert upcast_manifest(old) == new
    assert upcast_manifest(new) is new


def test_no_other_text_of_a_stored_manifest_becomes_an_action() -> None:
    args = {"a": "action:images", "b": f"{OLD} ", "c": [OLD], "d": {"e": OLD}, "f": f"see {OLD}"}
    manifest = Manifest(
        "images", "1.0.0", init=[Init("x/y", args)], triggers=[Trigger("t", TriggerOn("images/Image"), "x/y", {"g": OLD})],
        settings={"h": OLD}, description=OLD,
    )  # fmt: skip
    assert msgspec.json.encode(upcast_manifest(manifest)) == msgspec.json.encode(manifest)
