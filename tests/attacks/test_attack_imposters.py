"""Attacks by pretending to be another author's app: in its place, with its title, after it was removed, or behind the owner's back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.apps import packed, read_archive
from core.cli.sign import signed
from pcloud.errors import NotFound
from tests.attacks.conftest import refused
from tests.node_process import ROOT, NodeProcess

NOTES = "type Note { text: String! }"
COUNT = "{ aggregateDiary_Note { count } }"
ADD = 'mutation { addDiary_Note(input: [{text: "a secret"}]) { count } }'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("imposters") / "node") as node:
        yield node


class Maker:
    """Makes archives of apps without a process. `keys`: of the authors ada and eve."""

    def __init__(self, folder: Path):
        self.folder = folder

    def key(self, name: str) -> Path:
        if not (key := self.folder / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True, timeout=60)
        return key

    def app(self, name: str, version: str = "1.0.0", more: str = "", *, by: str = "", schema: str = NOTES) -> bytes:
        source = self.folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        (source / "app.yaml").write_text(f"name: {name}\nversion: {version}\nschema: s.graphql\n{more}")
        (source / "s.graphql").write_text(schema)
        data = packed(source).data
        return signed(data, self.key(by)) if by else data

    def changed_puppy(self, title: str = "Random puppy", name: str = "random-puppy", version: str = "1.0.1") -> bytes:
        """A copy of a bundled app with one more line."""
        source = self.folder / "puppy"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(ROOT / "apps" / "random-puppy", source, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        text = (source / "app.yaml").read_text().replace("version: 1.0.0", f"version: {version}")
        (source / "app.yaml").write_text(
            text.replace("title: Random puppy", f"title: {title}").replace("name: random-puppy", f"name: {name}")
        )
        with (source / "random_puppy" / "__main__.py").open("a") as file:
            file.write("\n# one changed line\n")
        return packed(source).data


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def review(node: NodeProcess, archive: bytes) -> dict[str, Any]:
    return node._with_client(lambda client: client.ask("POST", "/apps/review", data=archive))


def install(node: NodeProcess, archive: bytes, query: str = "approve=all", *, body: bool = True) -> None:
    """Install with the archive in the body, or a reviewed one by its name."""

    async def work(client: Any) -> None:
        path = f"/apps?{query}" if body else f"/apps?archive={read_archive(archive).sha256}&{query}"
        async for _ in client.lines("POST", path, data=archive if body else None):
            pass

    node._with_client(work)


def remove(node: NodeProcess, name: str, *, forget: bool = False) -> None:
    async def work(client: Any) -> None:
        async for _ in client.lines("DELETE", f"/apps/{name}?forget={str(forget).lower()}"):
            pass

    node._with_client(work)


@pytest.fixture(autouse=True)
def nothing_is_left(cloud: NodeProcess) -> Iterator[None]:
    """Remove what a test has installed."""
    yield
    names = {"diary", "library", "random-puppy", "puppies"}
    for name in sorted(names, key=lambda name: name == "library"):
        try:
            remove(cloud, name, forget=True)
        except NotFound:
            continue


def test_attack_a_changed_copy_of_a_bundled_app_is_not_bundled(cloud: NodeProcess, make: Maker) -> None:
    cloud.install("random-puppy")
    copy = make.changed_puppy()
    told = review(cloud, copy)
    assert not told["author"]["bundled"] and told["kind"] == "upgrade"
    assert told["warnings"] == ["This is NOT “Random puppy” as it comes with PCloud: somebody has changed it."]
    assert "author" in refused("FORBIDDEN", lambda: install(cloud, copy))
    (app,) = cloud.json("app", "list", "--json")
    assert (app["version"], app["author"]) == ("1.0.0", "comes with PCloud")


def test_attack_a_copy_under_another_name_differs_from_the_original(cloud: NodeProcess, make: Maker) -> None:
    """Before the real one is installed, and after it."""
    copy = make.changed_puppy(title="Random Puppy\u200b", name="puppies")
    for said in ("the app random-puppy, which comes with PCloud", "your app random-puppy, which comes with PCloud"):
        assert any(said in one and "NOT that app" in one for one in review(cloud, copy)["warnings"])
        cloud.install("random-puppy")
    install(cloud, copy)
    authors = {app["name"]: app["author"] for app in cloud.json("app", "list", "--json")}
    assert authors == {"random-puppy": "comes with PCloud", "puppies": "not signed"}
    shown = cloud.cli("app", "list").stdout
    assert "comes with PCloud" in shown and "not signed" in shown


def test_attack_another_authors_upgrade_gets_neither_grants_nor_data_unasked(cloud: NodeProcess, make: Maker) -> None:
    uses = "uses: [{read: library/Book}, {write: library/Book, optional: true}]\n"
    install(cloud, make.app("library", schema="type Book { title: String! }"))
    install(cloud, make.app("diary", more=uses, by="ada"))
    hostile = make.app("diary", "1.1.0", more=uses, by="eve")
    told = review(cloud, hostile)
    assert "ANOTHER KEY" in told["warnings"][0] and told["takes_from"]
    assert all(grant["new"] for grant in told["grants"]), "what was granted to another author is asked again"
    for query in ("approve=", "approve=all"):
        assert "another author" in refused("FORBIDDEN", lambda query=query: install(cloud, hostile, query))
    assert "requires grants that were rejected" in refused(
        "FORBIDDEN", lambda: install(cloud, hostile, "approve=&hand-over=true")
    )
    # The same author's archive keeps the owner's decisions.
    told = review(cloud, make.app("diary", "1.1.0", more=uses, by="ada"))
    assert not told["warnings"] and not any(grant["new"] for grant in told["grants"])


@pytest.mark.parametrize("before", ["ada", ""])
@pytest.mark.parametrize("after", ["eve", ""])
def test_attack_a_removed_apps_data_goes_to_no_other_author(
    cloud: NodeProcess, make: Maker, before: str, after: str
) -> None:
    install(cloud, make.app("diary", by=before))
    cloud.graphql(ADD)
    remove(cloud, "diary")
    imposter = make.app("diary", "2.0.0", by=after)
    told = review(cloud, imposter)
    assert told["kind"] == "install" and told["takes_from"] and told["left"]["version"] == "1.0.0"
    assert "another author" in refused("FORBIDDEN", lambda: install(cloud, imposter))
    assert cloud.json("app", "list", "--json") == []
    # The owner chooses: here, to forget it first.
    remove(cloud, "diary", forget=True)
    assert review(cloud, imposter)["takes_from"] is None
    install(cloud, imposter)
    assert cloud.graphql(COUNT)["aggregateDiary_Note"]["count"] == 0


def test_attack_what_is_handed_over_is_handed_over_on_purpose(cloud: NodeProcess, make: Maker) -> None:
    for archive, query in (
        (make.app("diary", by="ada"), "approve=all"),
        (make.app("diary", "2.0.0", by="ada"), "approve=all"),  # its own author has it back unasked
        (make.app("diary", "2.0.1"), "approve=all&hand-over=true"),
        (make.app("diary", "2.0.1"), "approve=all"),  # the very same archive
    ):
        install(cloud, archive, query)
        assert cloud.graphql(COUNT)["aggregateDiary_Note"]["count"] == (archive != make.app("diary", by="ada"))
        if not cloud.graphql(COUNT)["aggregateDiary_Note"]["count"]:
            cloud.graphql(ADD)
        remove(cloud, "diary")


def test_attack_a_grant_is_approved_for_one_archive_alone(cloud: NodeProcess, make: Maker) -> None:
    uses = "uses: [{read: library/Book}]\n"
    install(cloud, make.app("library", schema="type Book { title: String! }"))
    shown = make.app("diary", more=uses)
    (grant,) = review(cloud, shown)["grants"]
    other = make.app("diary", "1.0.1", more=uses)
    for query in (f"approve={grant['id']}", "approve=x"):
        assert "one archive" in refused("REJECTED", lambda query=query: install(cloud, other, query))
    assert [app["name"] for app in cloud.json("app", "list", "--json")] == ["library"]
    # The staged bytes under the reviewed name are read again.
    staged = cloud.data / "apps" / ".staged" / read_archive(shown).sha256
    staged.write_bytes(other)
    assert "not what was uploaded" in refused(
        "REJECTED", lambda: install(cloud, shown, f"approve={grant['id']}", body=False)
    )
    assert [app["name"] for app in cloud.json("app", "list", "--json")] == ["library"]


def test_attack_an_upgrade_that_asks_for_nothing_new_is_not_installed_unseen(cloud: NodeProcess, make: Maker) -> None:
    install(cloud, make.app("diary"))
    more = "provides: [diaries]\nresources: {memory: 2147483648}\n"
    (make.folder / "upgrade.tar.gz").write_bytes(make.app("diary", "1.1.0", more=more))
    done = cloud.cli("app", "upgrade", str(make.folder / "upgrade.tar.gz"), check=False)
    assert done.returncode != 0 and "--yes" in done.stderr
    said = " ".join(done.stderr.split())
    for words in ("1.1.0 over 1.0.0", "it is not signed", "this version provides “diaries” to other apps"):
        assert words in said
    assert "asks for up to 2 GiB of memory, not 512 MiB" in said
    assert cloud.json("app", "list", "--json")[0]["version"] == "1.0.0"


def test_attack_what_a_signer_calls_himself_vouches_for_nothing(cloud: NodeProcess, make: Maker) -> None:
    """The comment of a signature may say anything; it is shown as its holder's words, after the whole key."""
    archive = make.app("diary")
    (make.folder / "app.tar.gz").write_bytes(archive)
    keys = ["-s", "secret", "-p", "public"]
    subprocess.run(["minisign", "-G", "-W", *keys], cwd=make.folder, check=True, timeout=60, capture_output=True)
    sign = ["minisign", "-S", "-s", "secret", "-m", "app.tar.gz", "-t", "comes with PCloud"]
    subprocess.run(sign, cwd=make.folder, check=True, timeout=60, capture_output=True)
    text = (make.folder / "public").read_text() + (make.folder / "app.tar.gz.minisig").read_text()
    from core.apps.signing.signature import attach_signature

    forged = attach_signature(archive, text)
    told, key = review(cloud, forged), (make.folder / "public").read_text().splitlines()[1]
    assert told["author"]["text"] == f"is signed with the minisign key {key}" and not told["author"]["bundled"]
    assert "PCloud" not in json.dumps([told["author"]["text"], told["author"]["short"]])
    (make.folder / "forged.tar.gz").write_bytes(forged)
    said = " ".join(cloud.cli("app", "install", str(make.folder / "forged.tar.gz"), check=False).stderr.split())
    assert f"{key} (whose holder writes: “comes with PCloud”)" in said
