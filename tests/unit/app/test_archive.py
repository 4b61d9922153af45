"""Invalid archives in every format; each is refused before anything is written."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apps.archive.archive import read_archive
from core.apps.archive.bounds import ArchiveBounds
from core.apps.archive.member import member_path
from pcloud.errors import Rejected

from .conftest import MANIFEST, make_tar, make_zip

SMALL = ArchiveBounds(
    packed=10_000, unpacked=50_000, ratio=20, ratio_from=20_000, files=10, path=60, depth=4, text=5_000
)


def test_a_good_archive_gives_manifest_schema_and_files(make_archive, tmp_path):
    manifest = MANIFEST + b"schema: schema.graphql\n"
    data = make_archive([("app.yaml", manifest), ("schema.graphql", b"type A { b: Int }"), ("tiny/a.py", b"1")])
    archive = read_archive(data)
    assert archive.manifest.name == "tiny"
    assert archive.schema_text == "type A { b: Int }"
    archive.unpack(tmp_path / "code")
    assert (tmp_path / "code" / "tiny" / "a.py").read_bytes() == b"1"
    assert set(archive.files) == {"app.yaml", "schema.graphql", "tiny/a.py"}


def test_the_content_hash_is_the_same_in_either_format():
    entries = [("app.yaml", MANIFEST), ("a", b"1")]
    assert read_archive(make_tar(entries)).content == read_archive(make_zip(entries[::-1])).content


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        "a/./b",
        "a//b",
        "..",
        "C:/evil",
        "a\\..\\evil",
        "a\nb",
        "x" * 61,
        "a/b/c/d/e",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_by_name(make_archive, name):
    with pytest.raises(Rejected, match="the archive's member"):
        read_archive(make_archive([("app.yaml", MANIFEST), (name, b"1")]), SMALL)


@given(st.text(min_size=1, max_size=40))
def test_no_accepted_name_leaves_its_folder(name):
    root = Path("/srv/app")
    try:
        path = member_path(name, ArchiveBounds())
    except Rejected:
        return
    assert ".." not in path.split("/") and not path.startswith("/")
    assert (root / path).is_relative_to(root)


@pytest.mark.parametrize(
    "pair", [("a", "a"), ("a", "A"), ("caf\u00e9", "cafe\u0301"), ("a", "a/b"), ("a/b", "a"), ("A/b", "a/c")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_names_that_a_file_system_may_take_for_one_are_refused(make_archive, pair):
    with pytest.raises(Rejected, match="which are one name"):
        read_archive(make_archive([("app.yaml", MANIFEST), *((name, b"1") for name in pair)]))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
    ],
)
@pytest.mark.parametrize("aim", ["/etc/passwd", "app.yaml"])
def test_links_and_special_files_are_refused_wherever_they_point(kind, words, aim):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, aim
    with pytest.raises(Rejected, match=f"'link' is a .*{words}"):
        read_archive(make_tar([("app.yaml", MANIFEST), info]))


def test_a_symbolic_link_in_a_zip_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.yaml", MANIFEST)
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Rejected, match="'link' is a symbolic link"):
        read_archive(buffer.getvalue())


def test_a_bomb_is_refused_without_being_unpacked(make_archive):
    with pytest.raises(Rejected, match=r"bomb"):
        read_archive(
            make_archive([("app.yaml", MANIFEST), ("zeros", bytes(300_000))]),
            ArchiveBounds(ratio=20, ratio_from=20_000, files=10),
        )


def test_a_zip_that_lies_about_a_size_is_refused():
    data = bytearray(make_zip([("app.yaml", MANIFEST), ("zeros", bytes(40_000))]))
    for place in (data.find((40_000).to_bytes(4, "little")), data.rfind((40_000).to_bytes(4, "little"))):
        data[place : place + 4] = (10).to_bytes(4, "little")
    with pytest.raises(Rejected, match="can't be read"):
        read_archive(bytes(data))


def test_huge_tar_header_is_refused_without_reading_it():
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    data = gzip.compress(info.tobuf(tarfile.USTAR_FORMAT if info.size < 2**33 else tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(Rejected, match=r"header of|can't be read"):
        read_archive(data)


def test_each_bound_holds(make_archive):
    app = ("app.yaml", MANIFEST)
    cases = [
        ([app, *((f"f{n}", b"") for n in range(10))], "more than 10 files"),
        ([("app.yaml", MANIFEST + b"#" * 6_000)], "longer than 5000"),
        ([app, *((f"f{n}", bytes(range(256)) * 40) for n in range(6))], "bytes unpacked|claims to hold|inflates to"),
    ]
    for entries, words in cases:
        with pytest.raises(Rejected, match=words):
            read_archive(make_archive(entries), SMALL)
    with pytest.raises(Rejected, match="at most 10000"):
        read_archive(bytes(10_001), SMALL)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x1f\x8b", b"\x1f\x8bgarbage", b"PK\x03\x04", gzip.compress(b"no tar", mtime=0)]
)
def test_file_that_is_not_an_archive_is_refused(data):
    with pytest.raises(Rejected):
        read_archive(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damage_anywhere_is_refused_or_changes_nothing(place, value):
    whole = make_tar([("app.yaml", MANIFEST), ("tiny/a.py", b"print(1)" * 50)])
    damaged = bytearray(whole)
    damaged[place % len(whole)] = value
    try:
        archive = read_archive(bytes(damaged))
    except Rejected:
        return
    assert archive.content == read_archive(whole).content


def test_a_tar_cut_in_the_middle_of_its_headers_is_refused():
    tar = gzip.decompress(make_tar([("app.yaml", MANIFEST), ("a", b"1" * 600), ("b", b"2" * 600)]))
    header = tar.index(b"b\0")
    broken = tar[:header] + b"X" * 512 + tar[header + 512 :]
    with pytest.raises(Rejected, match="damaged at byte"):
        read_archive(gzip.compress(broken, mtime=0))


def test_a_missing_manifest_says_where_it_is(make_archive):
    with pytest.raises(Rejected, match=r"no app.yaml at its root: it is at tiny/app.yaml"):
        read_archive(make_archive([("tiny/app.yaml", MANIFEST)]))


def test_a_wrong_manifest_is_refused_with_its_line(make_archive):
    with pytest.raises(Rejected, match=r"app\.yaml:3:1: unknown key 'colour'"):
        read_archive(make_archive([("app.yaml", b"name: tiny\nversion: 1.0.0\ncolour: red\n")]))


def test_missing_schema_file_is_named(make_archive):
    with pytest.raises(Rejected, match=r"'schema\.graphql', which is not in the archive"):
        read_archive(make_archive([("app.yaml", MANIFEST + b"schema: schema.graphql\n")]))


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://evil.test",
        "-e .",
        "evil @ https://evil.test/evil.whl",
        "./evil.whl",
        "flask>=3",
        "flask==3.0.0",
    ],
)
def test_a_lock_holds_pinned_wheels_with_hashes_and_nothing_else(make_archive, line):
    lock = f"a==1.0 ; python_version < '3.12' \\\n    --hash=sha256:{'0' * 64}\n{line}\n".encode()
    with pytest.raises(Rejected, match=r"requirements\.lock:3"):
        read_archive(make_archive([("app.yaml", MANIFEST), ("requirements.lock", lock)]))
