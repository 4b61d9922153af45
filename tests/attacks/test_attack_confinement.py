"""Attacks on a machine that was not prepared for sandboxes: what runs there unconfined, and whether the owner knows it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from pcloud.errors import PCloudError
from tests.acceptance.conftest import CHROMIUM, QUIET
from tests.attacks.conftest import Cloud
from tests.node_process import PCLOUD, ROOT, NodeProcess

WARNING = "Apps run WITHOUT a sandbox"
# As on machines without namespaces, such as many containers: without the right to make them as root, and in a user
# namespace of its own for an ordinary user, who otherwise gets one.
POWERLESS = [*(["unshare", "--user", "--map-root-user"] if os.getuid() else []), "setpriv", "--bounding-set=-sys_admin"]


@pytest.fixture(autouse=True)
def others_are_served() -> None:
    """Other apps do not run here."""


class Powerless(Cloud):
    """A node that can't make sandboxes. `first`: its first line on standard output."""

    first = ""
    before = POWERLESS

    def launch(self, arguments: list[str]) -> Any:
        process = super().launch(arguments)
        self.first = process.stdout.readline()
        return process


@pytest.fixture(scope="module")
def powerless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Powerless]:
    with Powerless(tmp_path_factory.mktemp("powerless") / "node") as node:
        yield node


def test_attack_apps_are_confined_where_the_system_has_no_bubblewrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's first command, on a machine without Debian's package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with NodeProcess(tmp_path / "node") as node:
        node.install("random-puppy")
        (app,) = node.json("app", "list", "--json")
        assert app["state"] == "RUNNING" and app["sandbox"].startswith("bubblewrap")
        assert node.status()["warning"] == ""


def test_attack_nothing_runs_unconfined_without_the_first_line_saying_so(powerless: Powerless) -> None:
    assert powerless.first.startswith(WARNING)
    for words in ("Operation not permitted", "To confine them: allow user namespaces"):
        assert words in powerless.first
    assert powerless.status()["warning"] == powerless.first.strip()
    assert WARNING in powerless.cli("status").stdout


def test_attack_a_strangers_archive_does_not_start_without_a_sandbox(powerless: Powerless) -> None:
    with pytest.raises(PCloudError, match="there is no sandbox here"):
        powerless.install_archive(powerless.installed("attacker"))


def test_attack_the_console_says_first_that_apps_are_unconfined(powerless: Powerless) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page()
        page.goto(powerless.cli("signin-link").stdout.strip())
        port = powerless.address.rpartition(":")[2]
        for path in ("", "runs", "activity"):
            page.goto(f"http://console.localhost:{port}/{path}")
            page.get_by_text(WARNING).wait_for()
            assert page.locator("main").inner_text().startswith(WARNING)
        browser.close()


def test_attack_the_demo_says_in_its_first_line_that_it_is_unconfined(tmp_path: Path) -> None:
    command = [*POWERLESS, str(PCLOUD), "demo", "--exit"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "200"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as demo:
        assert demo.stderr
        first = demo.stderr.readline()
        demo.terminate()
        demo.stderr.read()
    assert first.startswith(WARNING) and "To confine them: allow user namespaces" in first
