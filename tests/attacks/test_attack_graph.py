"""Attacks on the graph through the real API: whatever an app asks, what was not granted to it answers as if it did not exist.

The rule is stated once, as an equation: over two clouds that differ only in what is hidden from the app `spy`, every request of the spy's
has the same answer. In the first cloud there is another app with types, fields and entities; in the second there is not.
"""
# ruff: noqa: E501 - a query is easier to read on one line

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.access.caller import Caller
from tests.integration.api.conftest import Cloud, Failed, grant, open_cloud

SHOP = """
enum Kind { BOOK TOY }
type Item {
  code: String! @id
  name: String! @search(by: [term, exact, regexp])
  kind: Kind @search(by: [hash])
  price: Int @search(by: [int])
  madeAt: DateTime @search(by: [year, day])
  tags: [String!] @search(by: [exact])
  shelf: Shelf @hasInverse(field: items)
}
type Shelf { label: String! @search(by: [term]) items: [Item!] @hasInverse(field: shelf) }
"""
# Hidden from the spy: a type, and fields of three sorts on a type that it sees.
VAULT = """
type Secret { word: String! @search(by: [term, exact]) code: String! @id item: Item! @hasInverse(field: secrets) level: Int @search(by: [int]) }
extend type Item @from(app: "shop") {
  secrets: [Secret!] @hasInverse(field: item, onDelete: CASCADE)
  note: String @search(by: [term, exact, facet])
  weight: Int @search(by: [int])
}
"""
OWN = 'extend type Item @from(app: "shop") type Own { text: String @search(by: [term]) about: Item }'
SPY = Caller("app", "spy")
HIDDEN_TYPE, HIDDEN_FIELDS = "Secret", ("secrets", "note", "weight", "shelf", "secretsAggregate")
ITEM = "code name kind price madeAt tags id _cursor _version"


async def fill(cloud: Cloud, *, secrets: bool) -> None:
    """Three items; with `secrets`, the vault and its data on each item, written before and after."""
    await cloud.install("shop", SHOP)
    if secrets:
        uses = [grant("vault", "extend", "shop/Item"), grant("vault", "read", "shop/Item")]
        await cloud.install("vault", VAULT, uses)
    await cloud.install("spy", OWN, [grant("spy", "write", "shop/Item")])
    for number, name in enumerate(("red ball", "blue ball", "blue book")):
        item = {"code": f"i{number}", "name": name, "kind": "TOY", "price": 10 + number, "tags": ["a"], "madeAt": f"202{number}-01-01T00:00:00Z",
                "shelf": {"label": "hidden words ball"}}  # fmt: skip
        await cloud.ask("mutation($i: [AddItemInput!]!) { addItem(input: $i) { count } }", {"i": [item]}, by="shop")
    if secrets:
        for number in range(3):
            what = {"note": "hidden words " * (1 + 9 * number), "weight": number,
                    "secrets": [{"word": "hidden ball", "code": f"s{number}{n}", "level": n} for n in range(number * 4)]}  # fmt: skip
            query = "mutation($f: ItemFilter!, $p: ItemPatch) { updateItem(input: {filter: $f, set: $p}) { count } }"
            items = await cloud.ask("{ queryItem { id code } }", by="shop")
            (id,) = [one["id"] for one in items["queryItem"] if one["code"] == f"i{number}"]
            await cloud.ask(query, {"f": {"id": [id]}, "p": what}, by="vault")


class Pair:
    """The two clouds. `same` sends both the same request and returns the first and the second answer."""

    def __init__(self, full: Cloud, bare: Cloud):
        self.full, self.bare = full, bare

    async def ids(self, cloud: Cloud) -> dict[str, str]:
        items = await cloud.ask("{ queryItem { id code } }", by="shop")
        return {one["code"]: one["id"] for one in items["queryItem"]}

    async def answers(self, query: str, variables: dict[str, Any] | None = None) -> tuple[str, str]:
        """Without what differs between any two clouds: epochs, the keyed ids, and places in the log, of which only the order counts."""
        return (await self._answer(self.full, query, variables), await self._answer(self.bare, query, variables))

    async def _answer(self, cloud: Cloud, query: str, variables: dict[str, Any] | None) -> str:
        names = {id: f"<{code}>" for code, id in (await self.ids(cloud)).items()}
        back = {f"<{code}>": id for id, code in ((id, code[1:-1]) for id, code in names.items())}
        text = query
        for place, id in back.items():
            text = text.replace(place, id)
        given = json.loads("".join([json.dumps(variables or {})]))
        try:
            answer: Any = {"data": await cloud.ask(text, given, by=SPY)}
        except Failed as failed:
            answer = {"errors": failed.errors, "data": failed.data}
        shown = json.dumps(answer, sort_keys=True)
        for id, name in names.items():
            shown = shown.replace(id, name)
        return without_places(shown)


def without_places(shown: str) -> str:
    """Replace sequences, revisions and times by their rank: places in the log differ, their order may not."""
    shown = re.sub(r'"(_cursor|tx|cause|time)": "[^"]*"', r'"\1": "…"', shown)
    places = re.findall(r'"(?:_version|revision)": "?(?:[A-Za-z0-9]+[:.-])?(\d+)"?', shown)
    ranks = {place: rank for rank, place in enumerate(sorted(set(places), key=int))}
    return re.sub(
        r'"(_version|revision)": "?(?:[A-Za-z0-9]+[:.-])?(\d+)"?', lambda m: f'"{m[1]}": "#{ranks[m[2]]}"', shown
    )


@pytest.fixture(scope="module")
def loop() -> Any:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair(loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("pair")

    @contextlib.asynccontextmanager
    async def both() -> AsyncIterator[Pair]:
        for name in ("full", "bare"):
            (folder / name).mkdir()
        async with open_cloud(folder / "full") as full, open_cloud(folder / "bare") as bare:
            # Both then have the same ids, which order equal entities.
            bare.store.id_key = full.store.id_key
            await fill(full, secrets=True)
            await fill(bare, secrets=False)
            for cloud in (full, bare):
                await cloud.search_loop.wait_for(await cloud.last())
            yield Pair(full, bare)

    opened = both()
    yield loop.run_until_complete(opened.__aenter__())
    loop.run_until_complete(opened.__aexit__(None, None, None))


# --- every form in which a name can be put into a query ------------------------------------------------------------------------------

FIELD = [
    "{{ queryItem {{ {0} }} }}", "{{ queryItem {{ {0} {{ id }} }} }}", "{{ queryItem {{ x: {0} }} }}",
    "{{ queryItem {{ ... on Item {{ {0} }} }} }}", "fragment F on Item {{ {0} }} {{ queryItem {{ ...F }} }}",
    "{{ queryItem {{ id @skip(if: true) {0} @skip(if: true) }} }}", "{{ queryItem(filter: {{ {0}: {{ eq: 1 }} }}) {{ id }} }}",
    "{{ queryItem(filter: {{ not: {{ {0}: {{}} }} }}) {{ id }} }}", "{{ queryItem(filter: {{ has: [{0}] }}) {{ id }} }}",
    "{{ queryItem(filter: {{ or: [{{ has: {0} }}] }}) {{ id }} }}", "{{ queryItem(order: [{{ asc: {0} }}]) {{ id }} }}",
    "{{ aggregateItem {{ {0}Max }} }}", "{{ aggregateItem {{ {0}Sum {0}Avg }} }}", "{{ aggregateItem {{ group(by: {0}) {{ value count }} }} }}",
    "{{ aggregateItem(filter: {{ {0}: {{ gt: 0 }} }}) {{ count }} }}", "mutation {{ updateItem(input: {{ filter: {{}}, set: {{ {0}: 1 }} }}) {{ count }} }}",
    "mutation {{ updateItem(input: {{ filter: {{}}, remove: {{ {0}: null }} }}) {{ count }} }}",
    'mutation {{ addItem(input: [{{ code: "x", name: "y", {0}: 1 }}]) {{ count }} }}', "{{ getItem(id: \"<i1>\", {0}: 1) {{ id }} }}",
    '{{ search(text: "", count: ["{0}"]) {{ total facets {{ field values {{ value count }} }} }} }}',
    '{{ search(text: "ball", filter: {{ facets: [{{ field: "{0}", values: ["1"] }}] }}) {{ total }} }}',
    '{{ search(text: "", filter: {{ ranges: [{{ field: "{0}", low: 0 }}] }}) {{ total }} }}', '{{ search(text: "", order: "{0}") {{ total }} }}',
    '{{ search(text: "", order: "Item.{0}") {{ total }} }}', '{{ search(text: "", count: ["vault/{0}"]) {{ total }} }}',
    "subscription {{ itemEvents {{ node {{ {0} }} }} }}", '{{ __type(name: "{0}") {{ name }} }}',
    "mutation {{ addOwn(input: [{{ about: {{ code: \"i1\", {0}: 1 }} }}]) {{ count }} }}", "{{ queryOwn(filter: {{ about: {{ has: {0} }} }}) {{ id }} }}",
]  # fmt: skip
TYPE = [
    "{{ query{0} {{ id }} }}", "{{ get{0}(id: \"<i1>\") {{ id }} }}", "{{ aggregate{0} {{ count }} }}", "{{ query{1} {{ id }} }}",
    "mutation {{ add{0}(input: []) {{ count }} }}", "mutation {{ delete{0}(filter: {{}}) {{ count }} }}",
    "mutation {{ update{0}(input: {{ filter: {{}} }}) {{ count }} }}", "subscription {{ {2}Events {{ id }} }}",
    'query {{ nodeHistory(type: "{0}", id: "<i1>") {{ kind }} }}', 'query {{ nodeHistory(type: "vault/{0}", id: "<i1>") {{ kind }} }}',
    '{{ search(text: "ball", types: ["{0}"]) {{ total }} }}', '{{ search(text: "", types: ["vault/{0}", "Item"]) {{ total }} }}',
    '{{ search(text: "", order: "{0}.level") {{ total }} }}', '{{ search(text: "ball") {{ hits {{ node {{ ... on {0} {{ id }} }} }} }} }}',
    "fragment F on {0} {{ id }} {{ queryItem {{ ...F }} }}", "query($a: {0}Filter) {{ queryItem {{ id }} }}", "query($a: Add{0}Input) {{ revision }}",
    '{{ __type(name: "{0}") {{ name fields {{ name }} }} }}', '{{ __type(name: "{1}Filter") {{ inputFields {{ name }} }} }}',
]  # fmt: skip
UNKNOWN = "zzqq"  # a name without a near match, as a hidden one may not have any


@pytest.mark.parametrize("form", FIELD)
@pytest.mark.parametrize("name", [*HIDDEN_FIELDS, "vault_note", "vault_secrets", "vault/note"])
def test_attack_a_hidden_field_answers_as_a_made_up_one_in_every_form(
    loop: asyncio.AbstractEventLoop, pair: Pair, form: str, name: str
) -> None:
    full, bare = loop.run_until_complete(pair.answers(form.format(name)))
    assert full == bare


@pytest.mark.parametrize("form", TYPE)
@pytest.mark.parametrize("name", [HIDDEN_TYPE, "Shelf", "Vault_Secret", "App", "Core_Grant"])
def test_attack_a_hidden_type_answers_as_a_made_up_one_in_every_form(
    loop: asyncio.AbstractEventLoop, pair: Pair, form: str, name: str
) -> None:
    full, bare = loop.run_until_complete(pair.answers(form.format(name, f"Vault_{name}", name[0].lower() + name[1:])))
    assert full == bare
    if "search(" not in form or "types" in form:
        assert '"errors"' in full or '"__type": null' in full, full


@pytest.mark.parametrize(
    "near", ["secret", "Secrets", "note1", "notes", "weigth", "secretsAgregate", "querySecrett", "Secrt", "Vault_Secre"]
)
def test_attack_no_suggestion_names_what_is_hidden(loop: asyncio.AbstractEventLoop, pair: Pair, near: str) -> None:
    for form in (*FIELD, *TYPE):
        full, bare = loop.run_until_complete(pair.answers(form.format(near, near, near)))
        assert full == bare, form
        assert "vault" not in full.replace(near, "").replace("vault/", "") and "secrets" not in full.replace(near, "")


SEEN = [
    f"{{ queryItem(order: {{asc: code}}) {{ {ITEM} }} }}", f"{{ queryItem(order: {{desc: price}}, first: 2) {{ {ITEM} }} }}",
    "{ aggregateItem { count priceMin priceMax priceSum group(by: kind) { value count } } }", '{ getItem(code: "i2") { id _version } }',
    '{ search(text: "ball") { total hits { type id score } facets { field values { value count } } } }',
    '{ search(text: "blue ball", types: ["Item"]) { total hits { id score node { ... on Item { name _version } } } } }',
    '{ search(text: "") { total hits { id score } } }', '{ search(text: "hidden") { total hits { id } } }', '{ search(text: "words") { total } }',
    '{ search(text: "b", count: ["kind"]) { total hits { id score } facets { field values { value count } } } }',
    '{ search(text: "bell") { total hits { id score } } }', '{ search(text: "", order: "madeAt") { hits { id score } } }',
    '{ nodeHistory(type: "Item", id: "<i1>") { kind actor change revision } }', '{ nodeHistory(type: "Item", id: "<i2>", first: 1) { kind revision } }',
    '{ nodeHistory(type: "Item", id: "unknown") { kind } }', "{ __schema { types { name kind fields { name args { name } } inputFields { name } "
    "enumValues { name } possibleTypes { name } } queryType { name } mutationType { fields { name } } directives { name } } }",
    "{ queryOwn { id about { name _version } } }", "{ __typename }", '{ queryItem(filter: {name: {regexp: ".*"}}) { code } }',
]  # fmt: skip


@pytest.mark.parametrize("query", SEEN)
def test_attack_what_is_seen_is_the_same_whatever_is_hidden_beside_it(
    loop: asyncio.AbstractEventLoop, pair: Pair, query: str
) -> None:
    """Counts, scores, order, versions, histories and the schema: none changes with what others store about the same entities."""
    full, bare = loop.run_until_complete(pair.answers(query))
    assert full == bare and '"errors"' not in full


def schema_of(cloud: Cloud) -> list[str]:
    return sorted(cloud.views.app("spy").schema.type_map)


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_attack_no_made_up_query_tells_the_two_clouds_apart(
    loop: asyncio.AbstractEventLoop, pair: Pair, data: st.DataObject
) -> None:
    """Any nesting of known, hidden and unknown names in filters, orders, selections and searches."""
    names = st.sampled_from(
        ["name", "price", "kind", "tags", "madeAt", *HIDDEN_FIELDS, HIDDEN_TYPE, UNKNOWN, "id", "_version"]
    )
    operator = st.sampled_from(["eq: 1", 'eq: "x"', "gt: 0", "has: note", "in: []", 'anyofterms: "hidden"', "lt: 3"])
    clause = st.builds(lambda name, one: f"{name}: {{ {one} }}", names, operator) | st.builds(
        lambda name: f"has: [{name}]", names
    )
    filters = st.recursive(
        clause, lambda inner: st.builds(lambda a, b: f"and: [{{ {a} }}] not: {{ {b} }}", inner, inner), max_leaves=3
    )
    selection = st.lists(names, min_size=1, max_size=3).map(" ".join)
    form = st.sampled_from([
        "{{ queryItem(filter: {{ {f} }}, order: {{ asc: {n} }}) {{ {s} }} }}", "{{ queryItem(filter: {{ {f} }}) {{ {s} }} }}",
        "{{ aggregateItem(filter: {{ {f} }}) {{ count {n}Max group(by: {n}) {{ value count }} }} }}",
        '{{ search(text: "{n}", count: ["{n}"]) {{ total hits {{ id score }} }} }}', '{{ search(text: "hidden ball", order: "{n}") {{ total }} }}',
        "mutation {{ updateItem(input: {{ filter: {{ {f} }}, set: {{ {n}: 1 }} }}) {{ count item {{ {s} }} }} }}",
        "mutation {{ deleteItem(filter: {{ code: {{ eq: \"none\" }} {f} }}) {{ count }} }}",
    ])  # fmt: skip
    query = data.draw(form).format(f=data.draw(filters), n=data.draw(names), s=data.draw(selection))
    full, bare = loop.run_until_complete(pair.answers(query))
    assert full == bare, query


# --- guessed ids, keys, upserts ------------------------------------------------------------------------------------------------------


class Counted:
    """The SQL statements that the graph's reading connections run."""

    def __init__(self, cloud: Cloud):
        self._connections = [cloud.graph._inline, cloud.graph._aside]
        self.statements: list[str] = []

    def __enter__(self) -> Counted:
        for connection in self._connections:
            connection.set_trace_callback(lambda text: self.statements.append(re.sub(r"'[^']*'|\b\d+\b", "?", text)))
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.set_trace_callback(None)


GUESSES = [
    "{ getItem(id: $id) { name } }", "{ queryItem(filter: {id: [$id]}) { name } }", '{ nodeHistory(type: "Item", id: $id) { kind } }',
    "{ aggregateItem(filter: {id: [$id]}) { count } }", "{ getItem(code: $id) { name } }",
    "mutation { addOwn(input: [{about: {id: $id}}]) { count } }", "mutation { addOwn(input: [{about: {code: $id}}]) { count } }",
    "mutation { updateItem(input: {filter: {id: [$id]}, set: {price: 1}}) { count } }", "mutation { deleteItem(filter: {id: [$id]}) { count } }",
]  # fmt: skip


@pytest.mark.parametrize("form", GUESSES)
async def test_attack_a_guessed_id_of_hidden_and_missing_entities_takes_the_same_path(
    tmp_path: Path, form: str
) -> None:
    """Exactly the same SQL statements in the same number: there is no path that only a hidden entity's id would take."""
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        hidden = (await cloud.ask("{ querySecret(first: 1) { id code } }", by="vault"))["querySecret"][0]
        shelf = (await cloud.ask("{ queryShelf(first: 1) { id } }", by="shop"))["queryShelf"][0]["id"]
        told = []
        for guess in ("f" * 32, hidden["id"], hidden["code"], shelf, "0" * 32):
            query = form.replace("$id", json.dumps(guess))
            with Counted(cloud) as counted:
                try:
                    answer: Any = await cloud.ask(query, by=SPY)
                except Failed as failed:
                    answer = [
                        {**one, "message": re.sub("[0-9a-f]{32}", "ID", one["message"].replace(guess, "ID"))}
                        for one in failed.errors
                    ]
            # What is written follows from the spy's own input; only the look-up of the guess may not differ.
            told.append((json.dumps(answer), [one for one in counted.statements if "transactions" not in one]))
        assert len({answer for answer, _ in told}) == 1, told
        assert len({tuple(statements) for _, statements in told}) == 1
        await cloud.ask("{ querySecret { id } }", by="vault")


async def test_attack_taking_a_hidden_entitys_id_or_key_for_ones_own_changes_nothing_of_it(tmp_path: Path) -> None:
    """Ids and @id hashes are per type: the same id in a type of one's own is another entity."""
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        secret = (await cloud.ask("{ querySecret(first: 1) { id word code } }", by="vault"))["querySecret"][0]
        await cloud.install("spy", "type Own { text: String } type Secret { code: String! @id word: String }")
        add = "mutation($i: [AddSecretInput!]!) { addSecret(input: $i, upsert: true) { count secret { id } } }"
        made = (await cloud.ask(add, {"i": [{"code": secret["code"], "word": "mine"}]}, by="spy"))["addSecret"]
        assert made["count"] == 1 and made["secret"][0]["id"] != secret["id"], (
            "the hash of a key tells nothing of another type's"
        )
        await cloud.ask(
            'mutation($id: ID!) { addOwn(input: [{id: $id, text: "mine"}]) { count } }', {"id": secret["id"]}, by="spy"
        )
        after = await cloud.ask(
            "query($id: ID!) { getSecret(id: $id) { id word code } }", {"id": secret["id"]}, by="vault"
        )
        assert after["getSecret"] == secret


async def test_attack_a_key_that_another_apps_page_has_used_tells_nothing(tmp_path: Path) -> None:
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        query, headers = 'mutation { addOwn(input: [{text: "t"}]) { count own { id } } }', {"Idempotency-Key": "k"}
        await cloud.install("other", "type Own { text: String }")
        first = await cloud.ask(query, by=Caller("person", "owner", through="other"), headers=headers)
        second = await cloud.ask(query, by=Caller("person", "owner", through="spy"), headers=headers)
        third = await cloud.ask(query, by=Caller("app", "spy"), headers=headers)
        ids = [one["addOwn"]["own"][0]["id"] for one in (first, second, third)]
        assert len(set(ids)) == 3


async def test_attack_an_unknown_app_is_not_named_as_an_actor(tmp_path: Path) -> None:
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        await cloud.install("painter", "", [grant("painter", "write", "shop/Item")])
        await cloud.ask(
            'mutation { updateItem(input: {filter: {code: {eq: "i0"}}, set: {price: 5}}) { count } }', by="painter"
        )
        device = Caller("device", "d1", through="painter", scopes=frozenset({"manage"}))
        await cloud.ask(
            'mutation { updateItem(input: {filter: {code: {eq: "i0"}}, set: {price: 6}}) { count } }', by=device
        )
        id = (await cloud.ask('{ getItem(code: "i0") { id } }', by=SPY))["getItem"]["id"]
        found = await cloud.ask(
            'query($id: ID!) { nodeHistory(type: "Item", id: $id) { actor through } }', {"id": id}, by=SPY
        )
        shown = [(one["actor"], one["through"]) for one in found["nodeHistory"]]
        assert shown == [("device", "app"), ("app", ""), ("app:shop", "")]
        person = Caller("person", "owner", through="shop")
        await cloud.ask(
            'mutation { updateItem(input: {filter: {code: {eq: "i0"}}, set: {price: 7}}) { count } }', by=person
        )
        found = await cloud.ask(
            'query($id: ID!) { nodeHistory(type: "Item", id: $id, first: 1) { actor through } }', {"id": id}, by=SPY
        )
        assert found["nodeHistory"] == [{"actor": "person", "through": "shop"}]


async def test_attack_a_type_that_needs_a_hidden_field_has_no_way_to_be_added(tmp_path: Path) -> None:
    """An error that says what is missing would name it."""
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        await cloud.install("spy", "", [grant("spy", "write", "vault/Secret")])
        failed = await cloud.fails('mutation { addSecret(input: [{word: "x", code: "y"}]) { count } }', by="spy")
        assert "Cannot query field 'addSecret'" in failed.message and "item" not in failed.message.lower()
        assert (await cloud.ask('mutation { deleteSecret(filter: {word: {eq: "none"}}) { count } }', by="spy"))[
            "deleteSecret"
        ]["count"] == 0


async def test_attack_a_forged_cursor_orders_by_nothing_hidden(tmp_path: Path) -> None:
    import base64

    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        for body in ('["+vault/weight,+id", 1, "x"]', '["+id"]', '["+id", 1]', '["+price,+id", 1e999, "x"]', '["+price,+id", 99999999999999999999, "x"]',
                     '["+price,+id", "x\' OR 1=1 --", "x"]', "[]", "{}", "[[]]", "x"):  # fmt: skip
            cursor = base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")
            for order in ("", "order: {asc: price}, "):
                query = f'{{ queryItem({order}after: "{cursor}") {{ code }} }}'
                try:
                    await cloud.ask(query, by=SPY)
                except Failed as failed:
                    assert failed.code == "REJECTED", failed.errors


# --- subscriptions and withdrawn grants ------------------------------------------------------------------------------------------------


class Listener:
    """A graphql-transport-ws client of the spy's, on a real socket."""

    def __init__(self, cloud: Cloud, by: Caller = SPY):
        self._cloud, self._by = cloud, by

    async def __aenter__(self) -> Listener:
        import aiohttp
        from aiohttp import web

        application = web.Application()

        async def graphql(request: web.Request) -> web.StreamResponse:
            return await self._cloud.api.http(request, self._by)

        application.router.add_get("/graphql", graphql)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._session = aiohttp.ClientSession()
        url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/graphql"
        self.socket = await self._session.ws_connect(url, protocols=["graphql-transport-ws"])
        await self.socket.send_json({"type": "connection_init"})
        assert (await self.socket.receive_json())["type"] == "connection_ack"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def subscribe(self, id: str, query: str) -> None:
        await self.socket.send_json({"type": "subscribe", "id": id, "payload": {"query": query}})

    async def heard(self, seconds: float = 10.0) -> dict[str, Any]:
        return await self.socket.receive_json(timeout=seconds)


async def test_attack_a_subscription_says_nothing_of_hidden_changes(tmp_path: Path) -> None:
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        async with Listener(cloud) as spy:
            await spy.subscribe("1", "subscription { itemEvents { kind changed actor node { code price _version } } }")
            await spy.subscribe("2", "{ revision }")
            assert (await spy.heard())["id"] == "2" and (await spy.heard())["type"] == "complete"
            change = 'mutation { updateItem(input: {filter: {code: {eq: "i0"}}, set: {%s}}) { count } }'
            shop = 'mutation { updateItem(input: {filter: {code: {eq: "i0"}}, set: {price: 77}}) { count } }'
            id = (await cloud.ask('{ getItem(code: "i0") { id } }', by="shop"))["getItem"]["id"]
            hidden = change.replace('code: {eq: "i0"}', f'id: ["{id}"]')
            await cloud.ask(hidden % 'note: "changed", weight: 9', by="vault")
            await cloud.ask(shop, by="shop")
            heard = (await spy.heard())["payload"]["data"]["itemEvents"]
            assert heard["changed"] == ["price"] and heard["node"]["price"] == 77, (
                "the hidden change was not the first heard of"
            )


async def test_attack_a_withdrawn_grant_ends_open_subscriptions_at_once_and_no_others(tmp_path: Path) -> None:
    """Without waiting for another event, which would end it anyway."""
    async with open_cloud(tmp_path) as cloud:
        await fill(cloud, secrets=True)
        async with (
            Listener(cloud) as spy,
            Listener(cloud, Caller("person", "owner", through="spy")) as page,
            Listener(cloud, Caller("app", "shop")) as shop,
        ):
            for one in (spy, page, shop):
                await one.subscribe("items", "subscription { itemEvents { id } }")
            await spy.subscribe("own", "subscription { ownEvents { id } }")
            for one in (spy, page, shop):
                await one.subscribe("there", "{ revision }")
                assert (await one.heard())["id"] == "there" and (await one.heard())["type"] == "complete"
            await cloud.install("spy", "", [grant("spy", "write", "shop/Item", state="rejected")])
            for one in (spy, page):
                ended = await one.heard(2.0)
                assert (ended["type"], ended["id"]) == ("error", "items") and "itemEvents" in ended["payload"][0][
                    "message"
                ]
            await cloud.ask('mutation { addItem(input: [{code: "new", name: "new"}]) { count } }', by="shop")
            assert (await shop.heard())["type"] == "next"
            await cloud.ask('mutation { addOwn(input: [{text: "mine"}]) { count } }', by="spy")
            heard = await spy.heard()
            assert (heard["type"], heard["id"]) == ("next", "own"), "what is the spy's own goes on"
            failed = await cloud.fails("{ queryItem { id } }", by="spy")
            assert failed.code == "REJECTED" and "queryItem" in failed.message
