"""A manifest is refused with the exact place, and what is right is read as it is meant."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pcloud.errors import Rejected
from pcloud.manifest import Manifest
from pcloud.manifest_file import load_manifest
from pcloud.manifest_schema import schema_text

FACES = """\
name: face-detector
version: 1.0.0
schema: schema.graphql
uses:
  - read: image-importer/Image
    fields: [photos/rating]
  - extend: image-importer/Image
  - call: role:object-storage/get-object
actions:
  - name: detect-faces
    args: {image: ID!, sizes: "[Int!]"}
triggers:
  - name: new-images
    on: {type: image-importer/Image, event: [created, updated], where: {mime: {eq: image/png}, size: {gt: 1.5}}}
    action: detect-faces
    args: {image: "{{ event.id }}"}
init:
  - call: role:object-storage/get-object
    args: {webhook: {action: face-detector/detect-faces}, retries: 3}
run:
  command: [python, -m, face_detector]
  env: {OMP_NUM_THREADS: 2}
settings: {detector: blazeface, on: yes}
"""


def test_valid_manifest_is_read_completely() -> None:
    manifest = load_manifest(FACES)
    assert manifest.name == "face-detector"
    assert manifest.triggers[0].on.event == ["created", "updated"]
    assert manifest.triggers[0].on.where == {"mime": {"eq": "image/png"}, "size": {"gt": 1.5}}
    assert manifest.init[0].args["retries"] == 3
    assert manifest.run is not None
    assert manifest.run.env == {"OMP_NUM_THREADS": "2"}
    assert manifest.settings == {"detector": "blazeface", "on": "yes"}  # YAML 1.2: neither is a truth value


def test_an_internal_action_has_the_arguments_that_pcloud_gives() -> None:
    told = FACES.replace("triggers:", "  - {name: callers-changed, internal: true}\ntriggers:", 1)
    assert load_manifest(told).actions[-1].internal
    with pytest.raises(Rejected, match="forget-caller with"):
        load_manifest(told.replace("internal: true", "internal: true, args: {x: ID}"))
    with pytest.raises(Rejected, match="has no action 'callers-changed'"):
        load_manifest(told.replace("action: detect-faces", "action: callers-changed"))


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ("name: face-detector", "nmae: face-detector", "1:1", "unknown key 'nmae'; did you mean 'name'?"),
        ("version: 1.0.0", "version: 1.0", "2:10", "'1.0' is not a version: write three numbers, such as 1.0.0"),
        ("name: face-detector", "name: Face", "1:7", "'Face' is not an app name"),
        ("name: face-detector", "name: core", "1:7", "the app name 'core' is reserved"),
        ("name: face-detector", "name: owner", "1:7", "the app name 'owner' is reserved"),
        ("schema: schema", "schema: ../schema", "3:9", "must be a path inside the app's folder"),
        ("schema: schema.graphql", "name: again", "3:1", "the key 'name' is used twice (first in line 1)"),
        ("[photos/rating]", "rating", "6:13", "'uses[0].fields' must be a list, not 'rating'"),
        ("[photos/rating]", "[rating]", "6:14", "'' is not a field name"),
        ("- extend: image-importer/Image", "- extend: Image", "7:13", "'Image' is not a type: write app/Type"),
        ("- extend: image-importer/Image", "- read: image-importer/Image", "7:11", "is used twice"),
        ("  - extend", "    write: a/B\n  - extend", "5:5", "exactly one of read, write, extend, call, network"),
        ("- extend: image-importer/Image", "- network: moon", "7:14", "'moon' is not a host and port: write HOST:PORT"),
        (
            "- extend: image-importer/Image",
            "- network: host",
            "7:14",
            "no app is given the machine's network: name what",
        ),
        ("- extend: image-importer/Image", "- network: peers", "7:14", "needs several nodes"),
        ("- extend: image-importer/Image", "- network: [a.org:443, 127.0.0.1:22]", "7:26", "'127.0.0.1' is an address"),
        ("- extend: image-importer/Image", "- network: [a.org:443, a.org:443]", "7:26", "is used twice"),
        ("- extend: image-importer/Image", "- network: []", "7:5", "exactly one of"),
        (
            "- extend: image-importer/Image",
            "- network: *.a.org:443",
            "7:15",
            "a text that begins with * must be in quotes",
        ),
        ("- extend: image-importer/Image", "- optional: true", "7:5", "exactly one of"),
        ("  - extend: image-importer/Image", "  - call: x/y\n    as: Z", "7:5", "belong to types, not to call"),
        ("get-object\nactions", "\nactions", "8:11", "is not an action name"),
        ("{image: ID!", "{image: Id!", "11:19", "'Id!' is not an argument type"),
        ("{image: ID!", "{image: [ID!]", "11:19", "'actions[0].args.image' must be text, not a list"),
        ("    args: {image: ID!", "    seconds: 0\n    args: {image: ID!", "11:14", "0 is out of bounds"),
        ("    args: {image: ID!", "    internal: true\n    args: {image: ID!", "11:15", "does not call this action"),
        ("action: detect-faces", "action: detect", "15:13", "the app has no action 'detect'"),
        ("action: detect-faces", "action: a/b", "15:13", "does not ask to call a/b: add '- call: a/b' under uses"),
        ("created, updated]", "made]", "14:46", "must be one of created, updated, deleted, not 'made'"),
        ("on: {type: image-importer/Image", "on: {type: notes/Note", "14:16", "does not ask to see notes/Note"),
        ("event: [created, updated]", "fields: [mime]", "14:46", "'fields' is for the event 'updated'"),
        ("    action: detect", "    attempts: 0\n    action: detect", "15:15", "0 is out of bounds"),
        ("    action: detect", "    attempts: 1.5\n    action: detect", "15:15", "must be a whole number, not '1.5'"),
        ("action: face-detector/detect-faces", "action: face-detector/x", "19:30", "the app has no action 'x'"),
        ("action: face-detector/detect-faces", "action: detect-faces", "19:30", "is not an action: write app/action"),
        ("action: face-detector/detect-faces", "action: a/b", "19:30", "does not ask to call a/b"),
        ("action: face-detector/detect-faces", "action: role:x/y", "19:30", "can't be handed over: write APP/ACTION"),
        ("{action: face-detector/detect-faces}", "'action:a/b'", "19:21", "write webhook: {action: a/b}"),
        ('"{{ event.id }}"', "{action: a/b}", "16:28", "does not ask to call a/b"),
        ("{image: ID!", "{image: '[Action]'", "11:19", "[..] for a list, not of Action"),
        ("  command: [python, -m, face_detector]\n", "", "21:3", "'run' has no 'command': add it"),
        ("[python, -m, face_detector]", "[]", "21:12", "the command is empty"),
        ("OMP_NUM_THREADS", "PCLOUD_URL", "22:21", "the variable 'PCLOUD_URL' can't be set"),
        ("version: 1.0.0", "version: !!python/name:os.system 1", "2:10", "is not allowed here"),
        ("actions:", "actions: &all", "9:10", "anchors (&) and aliases (*) are not allowed here"),
        ("uses:", "\tuses:", "4:1", "found character"),
    ],
)
def test_manifest_error_is_named_with_its_place(old: str, new: str, place: str, reason: str) -> None:
    assert old in FACES
    with pytest.raises(Rejected) as refused:
        load_manifest(FACES.replace(old, new, 1), "apps/face/app.yaml")
    assert refused.value.message.startswith(f"apps/face/app.yaml:{place}: ")
    assert reason in refused.value.message


@pytest.mark.parametrize(
    "text", ["", "[]", "a", "a: b\n---\nc: d", "\x00", "[" * 100_000, "- " * 2000, b"\xff", "a: " + "b" * 70_000]
)
def test_text_that_is_not_a_manifest_is_refused(text: str | bytes) -> None:
    with pytest.raises(Rejected, match=r"^app\.yaml"):
        load_manifest(text)


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(Rejected, match=r"^app\.yaml:1:5: anchors"):
        load_manifest("\n".join(lines))


@given(st.text(alphabet=string.printable, max_size=200), st.integers(0, len(FACES)), st.integers(0, 40))
@example("{? [a] : b}", 0, len(FACES))
@example("1e999", FACES.index("3}"), 1)
def test_any_text_is_either_a_manifest_or_refused_with_its_file(text: str, at: int, cut: int) -> None:
    try:
        assert isinstance(load_manifest(FACES[:at] + text + FACES[at + cut :]), Manifest)
    except Rejected as refused:
        assert refused.message.startswith("app.yaml:")


def test_the_committed_schema_for_editors_is_the_one_of_the_code() -> None:
    import pcloud

    stored = Path(pcloud.__file__).with_name("manifest.schema.json").read_text()
    assert stored == schema_text(), "run: python -m pcloud.manifest_schema > pcloud/manifest.schema.json"


def test_every_key_of_the_manifest_is_described() -> None:
    for name, definition in json.loads(schema_text())["$defs"].items():
        for key, described in definition["properties"].items():
            assert described.get("description"), f"{name}.{key} has no description"


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../other/data/*", "a\\b", "x" * 201, '"a\\nb"'])
def test_append_only_files_are_inside_the_data_folder(pattern: str) -> None:
    told = f"{FACES}backup:\n  append-only: [volumes/*.dat]\n"
    assert load_manifest(told).backup.append_only == ["volumes/*.dat"]
    with pytest.raises(Rejected, match=r"append-only|must be a path inside|too many"):
        load_manifest(told.replace("volumes/*.dat", pattern))
