"""The console in a real browser: a stranger's archive is reviewed, installed, watched and replayed, and its grants are withdrawn."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.apps import packed
from tests.attacks.pages import Page as AppPage
from tests.node_process import ROOT, NodeProcess, wait_until

DIARY = """
name: diary
version: 1.0.0
title: Diary
schema: schema.graphql
"""
NOTE = "type Note { text: String! @search(by: [term]) }"
READER = """
name: reader
version: VERSION
title: Reader
description: Reads every note.
uses:
  - read: diary/Note
    reason: notes are what it reads
  - write: diary/Note
    optional: true
    reason: it would correct what is misspelt
actions:
  - name: read-note
    args: {note: ID!}
triggers:
  - name: read-new-notes
    on: {type: diary/Note, event: created}
    action: read-note
    args: {note: "{{ event.id }}"}
    attempts: 1
run:
  command: [python, reader.py]
"""
PROGRAM = """
from pcloud.app import App

app = App()


@app.action
async def read_note(note: str) -> str:
    text = (await app.graph.query("query($id: ID!) { getNote(id: $id) { text } }", {"id": note}))["getNote"]["text"]
    if text == "smudged":
        raise ValueError(f"can not read {text!r}")
    app.log.info("read %s", text)
    return text


if __name__ == "__main__":
    app.run()
"""
WRITE = "mutation($text: String!) { addDiary_Note(input: [{text: $text}]) { count } }"
CLEAN = (
    'mutation { updateDiary_Note(input: {filter: {text: {allofterms: "smudged"}}, set: {text: "clear"}}) { count } }'
)
# Like a file manager: drag a file in from outside, and drop it.
DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))
  const transfer = new DataTransfer()
  transfer.items.add(new File([bytes], name))
  for (const type of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }))
}"""


def archive(folder: Path, manifest: str, **files: str) -> bytes:
    folder.mkdir()
    (folder / "app.yaml").write_text(manifest)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return packed(folder).data


def reader_archive(folder: Path, version: str = "1.0.0", manifest: str = READER) -> bytes:
    """An app that needs only the SDK, with the lock of another such app."""
    folder.mkdir()
    (folder / "app.yaml").write_text(manifest.replace("VERSION", version))
    (folder / "reader.py").write_text(PROGRAM)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / "bench" / "apps" / "probe" / name, folder)
    return packed(folder).data


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node with the diary, which has notes but no program."""
    folder = tmp_path_factory.mktemp("console")
    with NodeProcess(folder / "node") as node:
        node.install_archive(archive(folder / "diary", DIARY, schema_graphql=NOTE))
        for text in ("first", "second"):
            node.graphql(WRITE, {"text": text})
        yield node


@pytest.fixture
def console(cloud: NodeProcess, browser: Browser) -> Iterator[Page]:
    """The console in a browser that has just signed in by a link; anything that its policy refuses is an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    refused: list[str] = []
    page.on("pageerror", lambda error: refused.append(str(error)))
    page.on("console", lambda said: refused.append(said.text) if "Security Policy" in said.text else None)
    page.goto(cloud.cli("signin-link").stdout.strip())
    page.get_by_role("link", name="Console").click()
    expect(page.get_by_role("heading", name="Apps", exact=True)).to_be_visible()
    yield page
    assert refused == []
    context.close()


def drop(page: Page, name: str, data: bytes) -> None:
    page.evaluate(DROP, [name, base64.b64encode(data).decode()])


def permission(page: Page, text: str) -> Locator:
    return page.get_by_role("radiogroup", name=text)


def answer(page: Page, text: str, yes: str) -> None:
    permission(page, text).get_by_text(yes, exact=True).click()


def show(page: Page, path: str) -> None:
    """Open another page of the console by its address."""
    page.goto(re.sub(r"(://[^/]+).*", rf"\1{path}", page.url))


def installed(node: NodeProcess) -> dict[str, str]:
    return {app["name"]: app["state"] for app in node.status()["apps"]}


def test_app_without_a_required_grant_is_not_installed(console: Page, cloud: NodeProcess, tmp_path: Path) -> None:
    drop(console, "reader.tar.gz", reader_archive(tmp_path / "reader"))
    expect(console.get_by_role("heading", name="It needs to")).to_be_visible()
    answer(console, "See all notes that Diary keeps", "Don’t allow")
    answer(console, "see, add, change and delete all notes", "Allow")
    expect(console.get_by_text("Reader can’t be installed like this.")).to_be_visible()
    expect(console.get_by_role("button", name="Install", exact=True)).to_be_disabled()
    console.get_by_role("button", name="Don’t install").click()
    expect(console.get_by_role("heading", name="Apps")).to_be_visible()
    assert "reader" not in installed(cloud)


def test_a_dropped_archive_is_reviewed_installed_and_seen_running(
    console: Page, cloud: NodeProcess, tmp_path: Path
) -> None:
    drop(console, "reader.tar.gz", reader_archive(tmp_path / "reader"))
    expect(console.get_by_text("“it would correct what is misspelt”")).to_be_visible()
    expect(console.get_by_text("Not signed")).to_be_visible()
    expect(console.get_by_role("button", name="Install", exact=True)).to_be_disabled()  # until each grant is decided
    answer(console, "see, add, change and delete all notes", "Don’t allow")
    console.get_by_role("button", name="Install", exact=True).click()
    expect(console.get_by_role("heading", name="Reader is running")).to_be_visible(timeout=60_000)
    console.get_by_role("link", name="See the app").click()
    expect(console.get_by_role("heading", name="Reader")).to_contain_text("Running")
    expect(console.get_by_role("log")).to_contain_text("read second")
    states = {grant["verb"]: grant["state"] for grant in grants(cloud)}
    assert states == {"read": "approved", "write": "rejected"}
    console.get_by_role("link", name="Apps", exact=True).first.click()
    expect(console.get_by_role("article").filter(has_text="Reader")).to_contain_text("Running")


GRANTS = '{ queryCore_Grant(filter: {app: {eq: "reader"}}) { verb state } }'


def grants(node: NodeProcess) -> list[dict[str, str]]:
    return node.graphql(GRANTS)["queryCore_Grant"]


@pytest.fixture
def reader(cloud: NodeProcess, tmp_path: Path) -> NodeProcess:
    """The cloud with the reader installed and all of its grants approved."""
    if "reader" not in installed(cloud):
        cloud.install_archive(reader_archive(tmp_path / "installed"))
    wait_until(lambda: installed(cloud)["reader"] == "RUNNING", what="the reader")
    return cloud


def test_failed_run_shows_traceback_and_cause_and_is_retried(console: Page, reader: NodeProcess) -> None:
    reader.graphql(WRITE, {"text": "smudged"})
    show(console, "/runs?state=FAILED")
    console.get_by_role("link", name="read-note").click()
    expect(console.get_by_role("heading", name="Why it failed")).to_be_visible()
    traceback = console.locator("pre", has_text="Traceback (most recent call last)")
    expect(traceback).to_contain_text("ValueError: can not read 'smudged'")
    expect(console.get_by_text("You began it")).to_be_visible()
    reader.graphql(CLEAN)
    console.get_by_role("button", name="Retry").click()
    expect(console.get_by_text("Done", exact=True)).to_be_visible()
    show(console, "/runs?state=FAILED")
    expect(console.get_by_role("heading", name="Nothing failed")).to_be_visible()


def test_a_dry_run_counts_and_changes_nothing_and_the_replay_does_it(console: Page, reader: NodeProcess) -> None:
    def read() -> int:
        return reader.cli("app", "logs", "reader").stdout.count("read first")

    notes = len(reader.graphql("{ queryDiary_Note { id } }")["queryDiary_Note"])
    wait_until(lambda: reader.status()["runs"]["DONE"] >= notes, what="the history")
    before = read()
    show(console, "/apps/reader/replay/read-new-notes")
    console.get_by_role("button", name="Dry run").click()
    expect(console.get_by_text(f"{notes} events match")).to_be_visible()
    expect(console.get_by_text("It was never replayed.")).to_be_visible()
    assert read() == before
    console.get_by_role("button", name=f"Replay {notes} events").click()
    expect(console.get_by_text(f"The last replay is done: {notes} runs worked, 0 failed.")).to_be_visible(
        timeout=30_000
    )
    assert read() == before + 1


def test_grant_is_withdrawn_and_given_again(console: Page, reader: NodeProcess) -> None:
    show(console, "/apps/reader")
    console.get_by_role("button", name="Withdraw: See all notes that Diary keeps").click()
    dialog = console.get_by_role("dialog", name="Withdraw what Reader needs?")
    expect(dialog).to_contain_text("paused until you allow it again")
    dialog.get_by_role("button", name="Withdraw").click()
    expect(console.get_by_role("heading", name="Reader")).to_contain_text("Paused")
    wait_until(lambda: {"verb": "read", "state": "rejected"} in grants(reader), what="the withdrawn grant")
    console.get_by_role("button", name="Allow: See all notes that Diary keeps").click()
    expect(console.get_by_role("button", name="Withdraw: See all notes that Diary keeps")).to_be_visible()
    expect(console.get_by_role("heading", name="Reader")).to_contain_text("Running")


def test_an_upgrade_shows_only_what_is_new_and_is_rolled_back(
    console: Page, reader: NodeProcess, tmp_path: Path
) -> None:
    asks = READER.replace(
        "actions:",
        "  - network: dictionary.example.org:443\n    optional: true\n    reason: it would look words up\nactions:",
    )
    drop(console, "reader-2.tar.gz", reader_archive(tmp_path / "upgrade", "1.1.0", asks))
    expect(console.get_by_text("Upgrade from 1.0.0 to 1.1.0")).to_be_visible()
    expect(console.get_by_role("radiogroup")).to_have_count(1)
    expect(console.get_by_text("2 permissions you decided on before")).to_be_visible()
    answer(console, "Connect to dictionary.example.org on the internet", "Don’t allow")
    console.get_by_role("button", name="Upgrade", exact=True).click()
    expect(console.get_by_role("heading", name="Reader is running")).to_be_visible(timeout=60_000)
    console.get_by_role("link", name="See the app").click()
    expect(console.get_by_text("Version 1.1.0")).to_be_visible()
    console.get_by_role("button", name="Roll back").click()
    console.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(console.get_by_text("Version 1.0.0")).to_be_visible(timeout=60_000)


def test_file_that_is_not_an_archive_is_refused_and_recorded(console: Page, cloud: NodeProcess) -> None:
    drop(console, "holiday.tar.gz", b"not an archive at all")
    expect(console.get_by_role("alert")).to_contain_text("holiday.tar.gz can’t be installed")
    show(console, "/activity?kind=archive")
    expect(console.get_by_role("main").get_by_text("Rejected").first).to_be_visible()


def test_whose_session_has_ended_signs_in_again(console: Page, cloud: NodeProcess) -> None:
    expect(console.get_by_role("article").filter(has_text="Diary")).to_be_visible()
    console.context.clear_cookies()
    expect(console.get_by_role("heading", name="You are signed out")).to_be_visible()
    console.get_by_role("button", name="Sign in").click()
    expect(console.get_by_role("heading", name="Sign in to your cloud")).to_be_visible()
    console.get_by_label("Owner's credential").fill(cloud.token)
    console.get_by_role("button", name="Sign in").click()
    expect(console.get_by_role("article").filter(has_text="Diary")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/apps/reader", "/apps/reader/replay/read-new-notes", "/runs", "/activity"])
def test_every_page_fits_a_phone(console: Page, reader: NodeProcess, path: str) -> None:
    console.set_viewport_size({"width": 390, "height": 844})
    show(console, path)
    expect(console.get_by_role("heading", level=1)).to_be_visible()
    expect(console.get_by_text("Asking your cloud…")).to_have_count(0)
    assert console.evaluate("document.documentElement.scrollWidth") <= 390


def test_console_works_with_only_the_keyboard(console: Page, reader: NodeProcess) -> None:
    show(console, "/")
    expect(console.get_by_role("article").filter(has_text="Reader")).to_be_visible()
    console.keyboard.press("Tab")
    expect(console.get_by_role("link", name="Skip to the page")).to_be_focused()
    console.get_by_role("link", name="Reader").focus()
    console.keyboard.press("Enter")
    expect(console.get_by_role("heading", name="Reader")).to_be_visible()
    expect(console.get_by_role("main")).to_be_focused()
    console.get_by_role("button", name="Remove").focus()
    console.keyboard.press("Enter")
    dialog = console.get_by_role("dialog", name="Remove Reader?")
    expect(dialog).to_be_visible()
    console.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert "reader" in installed(reader)


def test_a_removed_app_is_gone_from_the_list(console: Page, reader: NodeProcess) -> None:
    show(console, "/apps/reader")
    console.get_by_role("button", name="Remove").click()
    dialog = console.get_by_role("dialog")
    dialog.get_by_label("Also forget everything it stored").check()
    expect(dialog.get_by_role("button", name="Remove and forget")).to_be_disabled()
    dialog.get_by_label("Type reader to be sure").fill("reader")
    dialog.get_by_role("button", name="Remove and forget").click()
    expect(console.get_by_role("heading", name="Apps")).to_be_visible(timeout=30_000)
    expect(console.get_by_role("article").filter(has_text="Reader")).to_have_count(0)
    assert "reader" not in installed(reader)


def test_refused_call_of_an_apps_page_names_you_and_the_app(console: Page, cloud: NodeProcess) -> None:
    AppPage(cloud, "diary").call("reader/read-note", note="first")
    show(console, "/activity")
    line = console.get_by_role("listitem").filter(has_text="You, through diary tried to call reader/read-note")
    expect(line.first).to_be_visible()
