"""Signing in and out in real browsers: the console's page of sessions, signing out on every page, and the credential."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.node_process import NodeProcess

PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("sessions") / "node") as node:
        node.install("random-puppy")
        yield node


def address(cloud: NodeProcess, app: str = "", path: str = "/") -> str:
    port = cloud.address.rpartition(":")[2]
    return f"http://{app}{'.' if app else ''}localhost:{port}{path}"


def signed_in(cloud: NodeProcess, context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(cloud.cli("signin-link").stdout.strip())
    expect(page.get_by_role("heading", name="Your cloud")).to_be_visible()
    return page


@pytest.fixture
def laptop(cloud: NodeProcess, browser: Browser) -> Iterator[Page]:
    """A browser on the console's page of sessions; anything that the page's policy refuses is an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = signed_in(cloud, context)
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Security Policy" in said.text else None)
    page.goto(address(cloud, "console", "/sessions"))
    expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
    yield page
    assert refused == []
    context.close()


@pytest.fixture
def phone(cloud: NodeProcess, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, user_agent=PHONE, has_touch=True)
    yield signed_in(cloud, context)
    context.close()


def row(page: Page, name: str, current: bool = False):
    rows = page.get_by_role("listitem").filter(has_text=name)
    mine = page.get_by_text("This browser")
    return rows.filter(has=mine) if current else rows.filter(has_not=mine)


def expect_signed_out(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", name="Sign in to your cloud")).to_be_visible()


def test_ended_browser_session_is_signed_out_at_once(cloud: NodeProcess, laptop: Page, phone: Page) -> None:
    """On all of its pages: the open page shows it by itself, and new requests lead to the sign-in."""
    phone.goto(address(cloud, "console", "/runs"))
    expect(phone.get_by_role("heading", name="Runs")).to_be_visible()
    phone_row = row(laptop, "Firefox on an Android phone")
    expect(phone_row).to_contain_text("Last seen")
    expect(row(laptop, "Chrome on a Linux computer", current=True)).to_be_visible()
    phone_row.get_by_role("button", name="End").click()
    expect(phone_row).to_have_count(0)
    expect(phone.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect_signed_out(phone, address(cloud, "random-puppy"))
    laptop.reload()
    expect(laptop.get_by_role("heading", name="Sessions")).to_be_visible()


def test_all_other_sessions_end_after_a_confirmation(cloud: NodeProcess, laptop: Page, phone: Page) -> None:
    laptop.get_by_role("button", name="End all others").click()
    laptop.get_by_role("dialog").get_by_role("button", name="End them").click()
    expect(laptop.get_by_text("1 browser signed in")).to_be_visible()
    expect_signed_out(phone, address(cloud))


def test_signing_out_is_on_every_page(cloud: NodeProcess, phone: Page) -> None:
    """Core's own page, the console, GraphiQL, an app's page, and core's page on an app's origin; each signs out of all."""
    for app, path, button in (
        ("", "/", phone.get_by_role("button", name="Sign out")),
        ("", "/graphql", phone.get_by_role("button", name="Sign out")),
        ("console", "/runs", phone.get_by_role("banner").get_by_role("button", name="Sign out")),
        ("random-puppy", "/", phone.get_by_role("button", name="Sign out")),
        ("random-puppy", "/_pcloud/", phone.get_by_role("button", name="Sign out")),
    ):
        phone.goto(cloud.cli("signin-link").stdout.strip())
        phone.goto(address(cloud, app, path))
        button.click()
        expect(phone.get_by_role("heading", name="You are signed out")).to_be_visible()
        for one in ("", "console", "random-puppy"):
            expect_signed_out(phone, address(cloud, one))


def test_a_new_credential_is_shown_once_and_signs_in(cloud: NodeProcess, laptop: Page, phone: Page) -> None:
    laptop.get_by_label("Present credential").fill("owner_wrong")
    laptop.get_by_role("button", name="Change the credential").click()
    expect(laptop.get_by_text("not the present credential")).to_be_visible()
    laptop.get_by_label("Present credential").fill(cloud.token)
    laptop.get_by_role("button", name="Change the credential").click()
    expect(laptop.get_by_role("heading", name="Your new credential")).to_be_visible()
    old, cloud.token = cloud.token, laptop.locator("code").inner_text()
    assert cloud.token != old
    expect_signed_out(phone, address(cloud))
    laptop.get_by_role("button", name="sign in").click()
    for token, heading in ((old, "Sign in to your cloud"), (cloud.token, "Sessions")):
        laptop.get_by_label("Owner's credential").fill(token)
        laptop.get_by_role("button", name="Sign in").click()
        expect(laptop.get_by_role("heading", name=heading)).to_be_visible()
    assert laptop.url == address(cloud, "console", "/sessions"), "back where it was"


def test_the_page_fits_a_phone(cloud: NodeProcess, phone: Page) -> None:
    phone.goto(address(cloud, "console", "/sessions"))
    expect(row(phone, "Firefox on an Android phone", current=True)).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
