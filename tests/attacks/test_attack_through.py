"""Attacks by an app through the people who use it: its page, and its own web server, act in their name and with only the app's grants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.conftest import Cloud
from tests.attacks.pages import Page, device_asks
from tests.attacks.test_calls import ask, code

pytestmark = pytest.mark.usefixtures("others_are_served")

STORAGE = "role:object-storage"
ADD = "mutation($text: String) { addNote(input: [{text: $text}]) { note { id } } }"
DELETE = "mutation($id: ID!) { deleteNote(filter: {id: [$id]}) { count } }"
UNDO = "mutation($tx: String!) { undo(tx: $tx) }"
HISTORY = "query($type: String!, $id: ID!) { nodeHistory(type: $type, id: $id) { kind tx actor through } }"


@pytest.fixture(scope="module")
def house(cloud: Cloud) -> Iterator[Cloud]:
    """`keeper` has the bucket `images`. `evil` has a page, and one grant that looks harmless."""
    cloud.install("object-store")
    uses = f"  - call: {STORAGE}/create-bucket\n  - call: {STORAGE}/delete-object"
    cloud.install_archive(cloud.installed("keeper", **{"  - call: other/greet": uses}))
    answer = cloud.attack(
        ask, "POST", f"/call/{STORAGE}/create-bucket", {"args": {"bucket": "images"}}, {}, app="keeper"
    )
    assert answer[0] == 200
    run = "  command: [python, -m, attacker]"
    changes = {"  - call: other/greet": f"  - call: {STORAGE}/issue-credentials", run: f"{run}\n  web: true"}
    cloud.install_archive(cloud.installed("evil", **changes))
    yield cloud


@pytest.fixture(scope="module")
def page(house: Cloud) -> Page:
    """Of `evil`, with the owner in front of it."""
    return Page(house, "evil")


def added(answer: tuple[int, Any]) -> str:
    """The id of the note that was added."""
    return answer[1]["data"]["addNote"]["note"][0]["id"]


def changes_of(cloud: Cloud, id: str) -> list[dict[str, Any]]:
    """Of a note of evil's, newest first, as the owner sees them."""
    return cloud.graphql(HISTORY, {"type": "Evil_Note", "id": id})["nodeHistory"]


# --- the page -----------------------------------------------------------------------------------------------------------------------


def test_attack_a_page_gets_no_keys_to_a_bucket_that_its_app_has_no_right_to(house: Cloud, page: Page) -> None:
    answer = page.call(f"{STORAGE}/issue-credentials", name="mine", bucket="images", write=True)
    assert code(answer)[1] == "FORBIDDEN" and "secret_key" not in str(answer)
    record = house.audited(app="evil", kind="call", target=f"{STORAGE}/issue-credentials", outcome="FORBIDDEN")
    assert (record["actor"], record["through"]) == ("person:owner", "evil")
    assert "you, through evil" in house.cli("audit", "--app", "evil").stdout


@pytest.mark.parametrize("action", ["get-object", "put-object", "delete-object", "list-objects", "export", "usage"])
def test_attack_a_page_calls_nothing_that_its_app_has_no_grant_for(page: Page, action: str) -> None:
    assert code(page.call(f"{STORAGE}/{action}", bucket="images", key="x"))[1] == "FORBIDDEN"
    assert code(page.call(f"object-store/{action}", bucket="images", key="x"))[1] == "FORBIDDEN"


def test_attack_a_page_is_answered_as_its_apps_process_is(house: Cloud, page: Page) -> None:
    for args in (
        {"name": "k", "bucket": "images"},
        {"name": "k", "bucket": "images", "write": True},
        {"name": "k", "bucket": "nowhere"},
    ):
        path = f"/call/{STORAGE}/issue-credentials"
        process = house.attack(ask, "POST", path, {"args": args}, {}, app="evil")
        assert code(page.call(f"{STORAGE}/issue-credentials", **args))[1] == code(process)[1] != ""


def test_attack_a_called_action_learns_of_the_app_that_a_person_acts_through(page: Page) -> None:
    greeted = page.call("evil/greet", name="Ada")[1]["data"]["callAction"]
    assert (greeted["caller"], greeted["actor"]) == ("app:evil", "person:owner")


def test_attack_what_a_page_writes_names_its_app_beside_the_person(house: Cloud, page: Page) -> None:
    [change] = changes_of(house, added(page.graphql(ADD, {"text": "hello"})))
    assert (change["actor"], change["through"]) == ("person:owner", "evil")


# --- undo ---------------------------------------------------------------------------------------------------------------------------


def test_attack_a_page_undoes_no_transaction_that_was_not_made_through_it(house: Cloud, page: Page) -> None:
    id = house.graphql('mutation { addEvil_Note(input: [{text: "of the owner"}]) { evil_Note { id } } }')
    id = id["addEvil_Note"]["evil_Note"][0]["id"]
    [made] = changes_of(house, id)
    refused = page.graphql(UNDO, {"tx": made["tx"]})
    unknown = page.graphql(UNDO, {"tx": "0" * 32})
    assert code(refused)[1] == code(unknown)[1] == "NOT_FOUND"
    assert [change["kind"] for change in changes_of(house, id)] == ["created"]


def test_attack_a_page_undoes_its_own_transaction_through_its_app_alone(house: Cloud, page: Page) -> None:
    id = added(page.graphql(ADD, {"text": "by mistake"}))
    [made] = changes_of(house, id)
    assert page.graphql(UNDO, {"tx": made["tx"]})[1]["data"]["undo"]["repeated"] is False
    undone, _ = changes_of(house, id)
    assert (undone["kind"], undone["actor"], undone["through"]) == ("deleted", "person:owner", "evil")


# --- the app's own web server -----------------------------------------------------------------------------------------------------


def test_attack_a_web_server_that_passes_its_visitor_on_acts_for_both(house: Cloud, page: Page) -> None:
    told = page.ask_server("/graphql", {"query": ADD, "variables": {"text": "for you"}})
    [change] = changes_of(house, added((200, told["body"])))
    assert (change["actor"], change["through"]) == ("person:owner", "evil")
    keys = {"args": {"name": "mine", "bucket": "images", "write": True}}
    told = page.ask_server(f"/call/{STORAGE}/issue-credentials", keys)
    assert code((told["status"], told["body"])) == (403, "FORBIDDEN")


def test_attack_a_web_server_that_drops_its_visitor_has_its_own_grants_alone(house: Cloud, page: Page) -> None:
    told = page.ask_server("/graphql", {"query": ADD, "variables": {"text": "for me"}}, visitor="drop")
    [change] = changes_of(house, added((200, told["body"])))
    assert (change["actor"], change["through"]) == ("app:evil", "")


def test_attack_a_web_server_can_not_name_an_absent_visitor(house: Cloud, page: Page) -> None:
    """A visitor's name is valid while core waits for the answer: not made up, not kept, not of another app's visit."""
    kept = page.ask_server("/graphql", {"query": "{ revision }"})["visitor"]
    assert kept
    for visitor in (kept, "person:owner", f"{kept[:-2]}xx"):
        told = page.ask_server("/graphql", {"query": ADD, "variables": {"text": "forged"}}, visitor=visitor)
        assert code((told["status"], told["body"])) == (403, "FORBIDDEN"), visitor
    answer = house.attack(ask, "POST", "/graphql", {"query": "{ revision }"}, {"Pcloud-User": kept}, app="other")
    assert code(answer) == (403, "FORBIDDEN")


# --- devices ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def viewer(house: Cloud) -> str:
    """The token of a device that may only view."""
    return house.json("device", "pair", "--name", "frame", "--scope", "view", "--json")["token"]


@pytest.mark.parametrize("through", ["", "evil"])
def test_attack_a_device_that_may_view_deletes_nothing_itself_or_through_an_app(
    house: Cloud, page: Page, viewer: str, through: str
) -> None:
    id = added(page.graphql(ADD, {"text": "stays"}))
    name = "Note" if through else "Evil_Note"
    seen = device_asks(
        house, viewer, f"query($id: ID!) {{ get{name}(id: $id) {{ text }} }}", {"id": id}, through=through
    )
    assert seen[1]["data"][f"get{name}"] == {"text": "stays"}
    refused = device_asks(house, viewer, DELETE.replace("deleteNote", f"delete{name}"), {"id": id}, through=through)
    assert code(refused)[1] == "FORBIDDEN"
    [change] = changes_of(house, id)
    assert change["kind"] == "created"


@pytest.mark.parametrize("through", ["", "keeper"])
@pytest.mark.parametrize("target", [f"{STORAGE}/delete-object", f"{STORAGE}/put-object", "keeper/greet"])
def test_attack_a_device_that_may_view_calls_no_action_that_changes(
    house: Cloud, viewer: str, target: str, through: str
) -> None:
    app, _, action = target.rpartition("/")
    query = (
        "mutation($app: String!, $action: String!, $args: JSON) { callAction(app: $app, action: $action, args: $args) }"
    )
    args = {"name": "x"} if action == "greet" else {"bucket": "images", "key": "x"}
    refused = device_asks(house, viewer, query, {"app": app, "action": action, "args": args}, through=through)
    assert code(refused)[1] == "FORBIDDEN"


def test_attack_a_device_that_may_view_gets_no_storage_keys(house: Cloud) -> None:
    paired = house.json("device", "pair", "--name", "frame", "--scope", "view", "--json")
    assert "s3" not in paired
