"""Who made an app, which apps it could be mistaken for, and what another version of it changes."""

from __future__ import annotations

import pytest

from core.apps.review.changes import changes_of
from core.apps.signing.author import Author, changed_author
from core.apps.signing.namesakes import plain_title, warn_of_namesakes
from core.apps.signing.signature import Signer
from pcloud.manifest import Action, Manifest, Resources, Run, Trigger, TriggerOn, Use
from projections.directory import App, AppState

OURS, UNSIGNED = Author(bundled=True), Author()
ADA, EVE = Author(signer=Signer("ssh", "SHA256:ada", "Ada")), Author(signer=Signer("minisign", "RWQeve", "Ada"))
ADA_AGAIN = Author(signer=Signer("ssh", "SHA256:ada", "another comment"))
AUTHORS = [OURS, UNSIGNED, ADA, EVE]


@pytest.mark.parametrize("one", AUTHORS)
@pytest.mark.parametrize("other", AUTHORS)
def test_only_the_same_key_and_pcloud_itself_are_certainly_the_same(one: Author, other: Author) -> None:
    assert one.is_same(other) == (one is other and one is not UNSIGNED)
    assert bool(changed_author(one, other)) == (one is not UNSIGNED and one is not other)


def test_signers_own_name_does_not_count() -> None:
    assert ADA.is_same(ADA_AGAIN) and not changed_author(ADA, ADA_AGAIN)
    assert all("Ada" not in text for text in (str(ADA), ADA.short, str(EVE), EVE.short))


def test_another_author_is_warned_about_loudly() -> None:
    assert all(word in changed_author(ADA, EVE) for word in ("ANOTHER KEY", "SHA256:ada", "RWQeve"))
    assert "IS NOT SIGNED" in changed_author(ADA, UNSIGNED)
    assert "DOES NOT COME WITH PCLOUD" in changed_author(OURS, EVE)


def test_short_form_of_a_key_uses_its_unchosen_part() -> None:
    """The first letters of a minisign key are a number that its maker may choose."""
    keys = [
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "RWQf6LRCGA9i5000000000000000000000000000000000000000000O",
    ]
    one, other = (Author(signer=Signer("minisign", key)).short for key in keys)
    assert one != other and one.endswith(keys[0][-16:])


@pytest.mark.parametrize("title", ["Photos", "PHOTOS", "Ph\u200botos", "\uff30hotos", " Photos. ", "p-h-o-t-o-s"])
def test_a_title_is_the_same_however_it_is_dressed_up(title: str) -> None:
    manifest = Manifest("snaps", "1.0.0", title=title)
    assert plain_title(manifest) == "photos"
    (warning,) = warn_of_namesakes(manifest, EVE, {"photos": Manifest("photos", "1.0.0", title="Photos")}, {})
    assert "NOT that app" in warning and "RWQeve" in warning


def test_changed_copy_of_a_bundled_app_is_reported() -> None:
    manifest = Manifest("photos", "1.0.0", title="Snaps")
    (warning,) = warn_of_namesakes(manifest, UNSIGNED, {"photos": manifest}, {})
    assert warning == "This is NOT “Snaps” as it comes with PCloud: somebody has changed it."
    assert not warn_of_namesakes(manifest, OURS, {"photos": manifest}, {})


def test_an_installed_app_of_the_same_title_is_named_with_its_author() -> None:
    notes = App("notes", "1.0.0", AppState.RUNNING, Manifest("notes", "1.0.0", title="My notes"), "a" * 64)
    (warning,) = warn_of_namesakes(Manifest("diary", "1.0.0", title="My Notes"), ADA, {}, {"notes": notes})
    assert "your app notes, which is not signed" in warning and "SHA256:ada" in warning


def manifest(**more: object) -> Manifest:
    return Manifest("tiny", "1.0.0", **more)  # type: ignore[arg-type]


TRIGGER = Trigger("look", TriggerOn("library/Book"), "look")
MORE = Trigger("look", TriggerOn("library/Book", "deleted"), "look")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"run": Run(["x"])}, {"run": Run(["x"], ports=["s3"])}, "opens the port s3 to apps that may call it"),
        ({}, {"provides": ["object-storage"]}, "provides “object storage” to other apps"),
        ({"provides": ["object-storage"]}, {}, "no longer provides “object storage”"),
        ({}, {"uses": [Use(network="smtp.example.org:465")]}, "asks for the network: smtp.example.org:465"),
        ({"triggers": [TRIGGER]}, {"triggers": [MORE]}, "changes the trigger look"),
        ({}, {"triggers": [TRIGGER]}, "adds the trigger look"),
        ({"triggers": [TRIGGER]}, {}, "gives up the trigger look"),
        ({"actions": [Action("do")]}, {"actions": [Action("do", {"all": "Boolean"})]}, "changes the action do"),
        ({}, {"resources": Resources(memory=2**31)}, "asks for up to 2 GiB of memory, not 512 MiB"),
        ({}, {"resources": Resources(disk=0)}, "asks to store as much as there is room for, not up to 1 GiB"),
        ({}, {"resources": Resources(graph=2**32)}, "asks to write up to 4 GiB into the graph, not up to 2 GiB"),
        ({"run": Run(["x"])}, {"run": Run(["x"], web=True)}, "serves web pages to you"),
        ({"run": Run(["x"])}, {"run": Run(["y"])}, "starts its program differently"),
        ({"title": "Tiny"}, {"title": "Photos"}, "calls itself “Photos”, not “Tiny”"),
        ({}, {}, "changes its files, and nothing that is listed here"),
    ],
)  # fmt: skip
def test_differences_of_another_version_are_listed(
    before: dict[str, object], after: dict[str, object], told: str
) -> None:
    assert changes_of(manifest(**before), manifest(**after), [], []) == [told]
