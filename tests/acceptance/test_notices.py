"""Notices in a real browser: the empty page, a failure that appears by itself, and dismissing it with undo, on a laptop and a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.integration.node.diary import WRITE, diary
from tests.node_process import NodeProcess

SIZES = {"laptop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
TEXT = "One run of Diary failed."


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("notices")
    with NodeProcess(folder / "node") as node:
        node.install_archive(diary(folder / "diary"))
        yield node


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, cloud: NodeProcess, browser: Browser) -> Iterator[Page]:
    """The page of notices; anything that its policy refuses is an error."""
    context = browser.new_context(viewport=SIZES[request.param])
    page = context.new_page()
    refused: list[str] = []
    page.on("pageerror", lambda error: refused.append(str(error)))
    page.on("console", lambda said: refused.append(said.text) if "Security Policy" in said.text else None)
    page.goto(cloud.cli("signin-link").stdout.strip())
    page.goto(f"http://console.localhost:{cloud.address.rpartition(':')[2]}/notices")
    expect(page.get_by_role("heading", name="Notices", exact=True)).to_be_visible()
    yield page
    assert refused == []
    context.close()


def listed(page: Page, name: str) -> Locator:
    """The diary's notice: a busy machine may have others, which come and go."""
    return page.get_by_role("list", name=name).get_by_role("listitem").filter(has_text=TEXT)


def sections(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Sections").get_by_role("link", name=name)


def test_a_failure_appears_and_is_dismissed_with_undo(page: Page, cloud: NodeProcess) -> None:
    if not cloud.json("runs", "--state", "FAILED", "--json"):
        expect(page.get_by_role("heading", name="Nothing needs you")).to_be_visible()
        cloud.graphql(WRITE, {"text": "smudged"})
    notice = listed(page, "Open notices")
    expect(notice).to_be_visible()
    expect(sections(page, "Notices")).to_contain_text("1")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(notice).to_be_visible()
    notice.get_by_role("button", name="Dismiss").click()
    page.get_by_role("button", name="Show earlier ones").click()
    earlier = listed(page, "Earlier notices")
    expect(earlier).to_contain_text("dismissed")
    earlier.get_by_role("button", name="Put back").click()
    expect(notice).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen"


def test_a_notice_leads_to_what_it_is_about(page: Page, cloud: NodeProcess) -> None:
    listed(page, "Open notices").get_by_role("link", name="See the runs").click()
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="fail", exact=True)).to_be_visible()
