"""Arguments of triggers: the result of a template, and what a template may not do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.work.processor.template import compile_arguments
from pcloud.errors import Rejected

EVENT = {"id": "0123", "kind": "created", "changed": ["title"], "revision": "e.1", "app": "shelf", "type": "Book"}
NODE = {
    "title": "Emma",
    "pages": 400,
    "items": [1, 2],
    "tags": ["a", "b"],
    "image": {"place": "x/y.jpg"},
    "missing": None,
}


def render(value: Any, node: dict[str, Any] | None = NODE) -> Any:
    return compile_arguments({"it": value}).render(EVENT, node)["it"]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ event.id }}", "0123"),
        ("{{ node.pages }}", 400),
        ("{{ node.pages // 3 + 1 }}", 134),
        ("{{ -node.pages }}", -400),
        ("{{ -400 + node.pages }}", 0),
        ("{{- node.pages -}}", 400),
        ("{{-1}}", 1),
        ("{{ node.items | tojson }}", "[1, 2]"),
        ("{{ [node.tags, (1, 2)] }}", [["a", "b"], [1, 2]]),
        ("{{ {1: node.title | tojson} }}", {"1": '"Emma"'}),
        ("{{ node.items }}", [1, 2]),
        ("{{ node.tags[0] }}", "a"),
        ("{{ node.image.place }}.bak", "x/y.jpg.bak"),
        ("{{ node.missing }}", None),
        ("{{ 'title' in event.changed }}", True),
        ("{{ node.title | upper }}{{ event.id }}", "EMMA0123"),
        ("plain", "plain"),
        (7, 7),
        (["{{ node.pages }}", {"deep": "{{ event.kind }}"}], [400, {"deep": "created"}]),
        ("{{ node.missing | default('none', true) }}", "none"),
        ("{{ 'long' if node.pages > 300 else 'short' }}", "long"),
    ],
)
def test_a_template_gives_native_values(template: Any, value: Any) -> None:
    rendered = render(template)
    assert (rendered, type(rendered)) == (value, type(value))
    assert msgspec.json.decode(msgspec.json.encode(rendered)) == value


@given(st.text(alphabet="0123456789abcdef", min_size=1, max_size=64))
def test_an_id_stays_the_text_that_it_is(id: str) -> None:
    rendered = compile_arguments({"it": "{{ event.id }}"}).render({"id": id}, None)["it"]
    assert rendered == id
    assert isinstance(rendered, str)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in event.changed %}x{% endfor %}",
        "{{ range(10) }}",
        "{{ event.id.upper() }}",
        "{{ node }}",
        "{{ secret }}",
        "{{ event.id[1:] }}",
        "{{ 2 ** 100000 }}",
        "{{ '%1000000d' % 1 }}",
        "{{ event.id | center(1000000) }}",
        "{% set x = 1 %}",
        "{{ event.id",
        "{{ event.id }}" * 1000,
        "{{ event.id is nothing_known }}",
        "a {{ event.id is nothing_known }}",
    ],
)
def test_non_expressions_are_refused_before_any_event(template: str) -> None:
    with pytest.raises(Rejected, match="the argument it"):
        compile_arguments({"it": template})


@pytest.mark.parametrize(
    "template",
    [
        "{{ event.nope }}",
        "{{ 'a' * 1000000 }}",
        "{{ [0] * 1000000 }}",
        "{{ node.title.__class__ }}",
        "{{ node.pages // 0 }}",
        "{{ event.nope }}!",
        "{{ [event.nope] }}",
        "{{ {'a': [event.nope]} }}",
    ],
)
def test_error_at_an_event_names_the_argument(template: str) -> None:
    with pytest.raises(Rejected, match="the argument it can't be rendered"):
        render(template)


def test_the_needed_fields_of_the_node_are_known_beforehand() -> None:
    arguments = compile_arguments(
        {"a": "{{ node.image.place }} {{ node['pages'] }}", "b": ["{{ node.tags[0].name }}"], "c": "{{ event.id }}"}
    )
    assert arguments.paths == {("image", "place"), ("pages",), ("tags", "name")}
