"""Where backups may be stored, and where the keys come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.backup.place import parse_place, read_keys
from pcloud.errors import Rejected

S3 = "s3://s3.example.org/bucket/home"


@pytest.mark.parametrize(
    ("text", "name", "repository"),
    [
        ("/mnt/disk/cloud", "/mnt/disk/cloud", "/mnt/disk/cloud"),
        (S3, S3, "s3:https://s3.example.org/bucket/home"),
        (
            "s3://s3.example.org:9000/bucket/",
            "s3://s3.example.org:9000/bucket",
            "s3:https://s3.example.org:9000/bucket",
        ),
        ("s3+http://192.168.1.7:9000/b/c/", "s3+http://192.168.1.7:9000/b/c", "s3:http://192.168.1.7:9000/b/c"),
        ("s3+http://localhost/b", "s3+http://localhost/b", "s3:http://localhost/b"),
        ("s3+http://[::1]:9000/b", "s3+http://[::1]:9000/b", "s3:http://[::1]:9000/b"),
    ],
)
def test_place_is_a_folder_or_a_bucket(text: str, name: str, repository: str) -> None:
    assert parse_place(text)[:2] == (name, repository)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s3://key:secret@s3.example.org/bucket", "no keys"),
        ("s3://s3.example.org/bucket?AWS_SECRET_ACCESS_KEY=x", "no parameters"),
        ("s3://s3.example.org", "no bucket"),
        ("s3:///bucket", "no host"),
        ("s3://[::1/bucket", "can't be read"),
        ("sftp://nas/folder", "name a folder"),
        ("s3+http://s3.example.org/bucket", "--plain-http"),
        ("s3+http://93.184.215.14/bucket", "--plain-http"),
        ("s3+http://localhost.example.org/bucket", "--plain-http"),
    ],
)
def test_place_that_is_not_safe_or_not_clear_is_refused(text: str, why: str) -> None:
    with pytest.raises(Rejected, match=why) as refused:
        parse_place(text)
    assert "secret" not in refused.value.message


def test_plain_http_can_be_allowed() -> None:
    place = parse_place("s3+http://s3.example.org/bucket", plain_http=True)
    assert place.repository == "s3:http://s3.example.org/bucket"


@pytest.mark.parametrize("form", ["AWS_ACCESS_KEY_ID=id\nexport AWS_SECRET_ACCESS_KEY='a=b'\nOTHER=1\n",
                                  "[default]\naws_access_key_id = id\naws_secret_access_key = a=b\n"])  # fmt: skip
def test_keys_come_from_a_file_or_the_environment(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, wanted = tmp_path / "keys", {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "a=b"}
    file.write_text(form)
    assert read_keys(parse_place(S3), file) == wanted
    for name in ("AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", *wanted):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Rejected, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        read_keys(parse_place(S3), None)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    assert read_keys(parse_place(S3), None) == wanted
    assert read_keys(parse_place("/mnt/disk"), None) == {}


def test_keys_file_that_lacks_one_or_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with pytest.raises(Rejected, match="can't be read"):
        read_keys(parse_place(S3), file)
    file.write_text("AWS_ACCESS_KEY_ID=id\n")
    with pytest.raises(Rejected, match="does not have AWS_SECRET_ACCESS_KEY"):
        read_keys(parse_place(S3), file)
