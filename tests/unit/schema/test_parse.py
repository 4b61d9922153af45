"""A schema is accepted completely, or refused with the exact place and what to write instead."""

from __future__ import annotations

import pytest

from core.graph.schema import builtin_catalog, parse_schema
from core.graph.schema.bounds import MAX_BYTES, MAX_FIELDS_PER_TYPE, MAX_TYPES
from pcloud.errors import Rejected
from projections.graph.catalog import Catalog, merge

IMPORTER = parse_schema(
    "image-importer", "type Image { title: String tags: [Tag!] } type Tag { name: String }", others=Catalog()
)
OTHERS = merge([builtin_catalog(), IMPORTER])


def parse(text: str) -> Catalog:
    return parse_schema("my-app", text, others=OTHERS)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # syntax
        ("", "schema.graphql", ["empty"]),
        ("type A {", "1:9", ["Syntax"]),
        ("type A { x: String", "1:19", ["Syntax"]),
        ("{ query }", "1:1", ["operation definition", "type"]),
        ("type A { x: Sting }", "1:13", ["unknown type 'Sting'", "'String'"]),
        ("type A { x: Imge }\nextend type Image @from(app: \"image-importer\")", "1:13", ["'Image'"]),
        ("type A {}", "1:9", ["Syntax"]),
        ("type A", "1:1", ["no fields"]),
        # what is not supported
        ("interface I { x: Int }", "1:1", ["interfaces", "repeat"]),
        ("type A implements I { x: Int }", "1:19", ["interfaces"]),
        ("type A { x: Int }\nunion U = A", "2:1", ["unions"]),
        ("scalar Money", "1:1", ["scalars", "Float"]),
        ("input In { x: Int }", "1:1", ["input"]),
        ("directive @x on OBJECT", "1:1", ["built in"]),
        ("schema { query: A }", "1:1", ["root"]),
        ("type A { x(n: Int): Int }", "1:12", ["arguments"]),
        ("type A { x: [[Int]] }", "1:13", ["list of lists"]),
        ("extend enum E { B }", "1:1", ["enum"]),
        # names
        ("type a { x: Int }", "1:6", ["capital", "'A'"]),
        ("type A__B { x: Int }", "1:6", ["type name"]),
        ("type Query { x: Int }", "1:6", ["reserved"]),
        ("type DateTimeRange { x: Int }", "1:6", ["reserved"]),
        ("type StringEqualRangeFilter { x: Int }", "1:6", ["reserved"]),
        ("type A { x: Int }\ntype A { y: Int }", "2:6", ["twice"]),
        ("type Ab { x: Int }\ntype AB { y: Int }", "2:6", ["twice", "'Ab'"]),
        ("type A { x: Int }\nenum A { B }", "2:6", ["twice"]),
        ("type A { x: Int }\ntype AFilter { y: Int }", "2:6", ["made by PCloud", "'A'"]),
        ("type A { x: Int }\ntype AddAInput { y: Int }", "2:6", ["made by PCloud"]),
        ("type A {\n  id: ID!\n}", "2:3", ["already has", "remove"]),
        ("type A { _cursor: String }", "1:10", ["reserved"]),
        ("type A { _version: Int }", "1:10", ["reserved"]),
        ("type A { __x: Int }", "1:10", ["'__'"]),
        ("type A { _x: Int }", "1:10", ["field name"]),
        ("type A { and: Int }", "1:10", ["reserved"]),
        ("type A { x: Int\n  x: Int }", "2:3", ["twice"]),
        ("type A { xy: Int\n  xY: Int }", "2:3", ["twice", "capitals"]),
        ("type A { bs: [B!] bsAggregate: Int }\ntype B { x: Int }", "1:19", ["bsAggregate", "rename"]),
        ("enum E { A A }", "1:12", ["twice"]),
        # directives
        ("type A { x: Int @serach }", "1:17", ["unknown directive @serach", "'search'"]),
        ("type A @search { x: Int }", "1:8", ["not allowed"]),
        ("type A @from(app: \"b\") { x: Int }", "1:8", ["extend type"]),
        ("enum E @id { A }", "1:8", ["not allowed"]),
        ("type A { x: Int @from(app: \"b\") }", "1:17", ["extend type"]),
        ("type A { x: Int @search @search }", "1:25", ["twice"]),
        ("type A { x: Int @search(bye: [int]) }", "1:25", ["`bye`", "`by`"]),
        ("type A { x: Int @search(by: [int], by: [facet]) }", "1:36", ["twice"]),
        ("type A { x: Int @search(by: [term]) }", "1:17", ["term", "Int", "int, facet"]),
        ("type A { x: String @search(by: [\"term\"]) }", "1:20", ["bare names"]),
        ("type A { x: String @search(by: []) }", "1:20", ["empty"]),
        ("type A { b: B @search }\ntype B { x: Int }", "1:15", ["relation"]),
        ("type A { x: Int @id(a: 1) }", "1:21", ["no arguments"]),
        ("type A { x: String @id }", "1:20", ["String! @id"]),
        ("type A { x: Float! @id }", "1:20", ["ID, String, Int"]),
        ("type A { x: [String!]! @id }", "1:24", ["single"]),
        ("type A { b: B! @id }\ntype B { x: Int }", "1:16", ["relation"]),
        ("type A { x: String! @id y: String! @id }", "1:25", ["two @id"]),
        ("type A { x: Int @default }", "1:17", ["value"]),
        ("type A { x: Int @default(value: \"a\") }", "1:17", ["Int"]),
        ("type A { x: Int @default(value: 1.5) }", "1:17", ["Int"]),
        ("type A { x: Int @default(value: 3000000000) }", "1:17", ["from -2147483648"]),
        ("type A { x: Boolean @default(value: \"true\") }", "1:21", ["Boolean"]),
        ("type A { x: String @default(value: word) }", "1:20", ["String"]),
        ("type A { x: DateTime @default(value: \"yesterday\") }", "1:22", ["RFC 3339"]),
        ("enum E { B C }\ntype A { x: E @default(value: D) }", "2:15", ["B, C"]),
        ("enum E { B C }\ntype A { x: E @default(value: \"B\") }", "2:15", ["without quotes"]),
        ("type A { x: [Int!] @default(value: 1) }", "1:20", ["list"]),
        ("type A { x: Int @default(value: {a: 1}) }", "1:33", ["object"]),
        ("type A { x: Int @default(value: null) }", "1:17", ["Int"]),
        ("type A { x: String! @id @default(value: \"a\") }", "1:25", ["@id"]),
        # relations
        ("type A { x: Int @hasInverse(field: y) }", "1:17", ["scalar"]),
        ("type A { b: B @hasInverse }\ntype B { x: Int }", "1:15", ["`field`"]),
        ("type A { b: B @hasInverse(field: as) }\ntype B { x: Int }", "1:10", ["'as'", "does not declare", "as: [A!]"]),
        ("type A { b: B @hasInverse(field: x) }\ntype B { x: Int }", "1:10", ["is a Int"]),
        ("type A { b: B @hasInverse(field: c) }\ntype B { c: C }\ntype C { x: Int }", "1:10", ["points to"]),
        ("type A { b: B @hasInverse(field: a) }\ntype B { a: [A!] @hasInverse(field: c) c: A }", "2:10", ["'c'"]),
        ("type A { b: B @hasInverse(field: a) c: B @hasInverse(field: a) }\ntype B { a: [A!] }", "1:37", ["two fields"]),
        ("type A { b: B @hasInverse(field: a, onDelete: SET_NULL) }\ntype B { a: [A!] }", "1:47", ["CASCADE"]),
        ("type A { a: A @hasInverse(field: a) }", "1:10", ["its own inverse"]),
        ("type A { b: B }\ntype B { a: A! @hasInverse(field: b) }", "2:10", ["required"]),
        # extensions
        ("extend type Image { x: Int }", "1:1", ["the type's app", "@from(app:"]),
        ("extend type Image @from { x: Int }", "1:19", ["`app`"]),
        ("extend type Image @from(app: importer) { x: Int }", "1:30", ["quotes"]),
        ("extend type Image @from(app: \"Image Importer\") { x: Int }", "1:19", ["app name"]),
        ("extend type Imag @from(app: \"image-importer\") { x: Int }", "1:18", ["no type 'Imag'", "'Image'"]),
        ("extend type Image @from(app: \"nowhere\") { x: Int }", "1:19", ["not installed"]),
        ("extend type Image @from(app: \"my-app\") { x: Int }", "1:19", ["own type"]),
        ("extend type App @from(app: \"core\") { x: Int }", "1:17", ["platform"]),
        ("extend type Image @from(app: \"image-importer\") { x: Int! }", "1:50", ["@default"]),
        ("extend type Image @from(app: \"image-importer\") { x: String! @id }", "1:50", ["@id"]),
        ("type Image { x: Int }\nextend type Image @from(app: \"image-importer\") { x: Int }", "2:13", ["twice"]),
        ("type A { t: Tag @hasInverse(field: as) }\nextend type Tag @from(app: \"image-importer\")", "1:10", ["does not declare"]),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place(text: str, place: str, words: list[str]) -> None:
    with pytest.raises(Rejected) as told:
        parse(text)
    message = told.value.message
    expected = place if place.startswith("schema") else f"schema.graphql:{place}"
    assert message.startswith(f"{expected}:"), message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    "text",
    [
        "#" * (MAX_BYTES + 1),
        " ".join(f"type T{n}x {{ x: Int }}" for n in range(MAX_TYPES + 1)),
        f"type A {{ {' '.join(f'f{n}: Int' for n in range(MAX_FIELDS_PER_TYPE + 1))} }}",
        " ".join(f"type T{n}x {{ {' '.join(f'f{k}: Int' for k in range(101))} }}" for n in range(20)),
        f"enum E {{ {' '.join(f'V{n}' for n in range(501))} }}",
        "type A { x: Int " + "@search " * 50_000 + "}",
        "type A { x: " + "[" * 3_000 + "Int" + "]" * 3_000 + " }",
    ],
)
def test_a_schema_has_bounds(text: str) -> None:
    with pytest.raises(Rejected):
        parse(text)


def test_every_kind_of_field_is_read() -> None:
    catalog = parse('''
    enum Mood { GOOD BAD }
    "A thing."
    type Thing {
      "Its name."
      name: String! @id
      count: Int = 3
    }
    '''.replace(" = 3", " @default(value: 3) @search")
    + "type Other { big: Int64 size: Float @default(value: 1) on: Boolean at: DateTime @default(value: \"2024-01-01T00:00:00+01:00\")"
      " mood: Mood @default(value: BAD) @search(by: [hash, facet]) list: [String!]! @search(by: term) ref: ID thing: Thing! }")  # fmt: skip
    thing, other = catalog.types["my-app/Thing"], catalog.types["my-app/Other"]
    assert thing.description == "A thing." and thing.fields["name"].description == "Its name."
    assert thing.id_field is thing.fields["name"]
    assert (thing.fields["count"].default, thing.fields["count"].search) == (3, ("int",))
    assert other.fields["size"].default == 1.0 and isinstance(other.fields["size"].default, float)
    assert other.fields["at"].default == "2023-12-31T23:00:00.000Z"
    assert (other.fields["mood"].kind, other.fields["mood"].enum, other.fields["mood"].values) == (
        "Enum",
        "Mood",
        ("GOOD", "BAD"),
    )
    assert other.fields["list"].many and other.fields["list"].required and other.fields["list"].search == ("term",)
    assert other.fields["thing"].required and other.fields["thing"].written and other.fields["thing"].inverse == ""
    assert Catalog.from_json(catalog.to_json()) == catalog


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("type A { b: B @hasInverse(field: as) } type B { as: [A!] }", "my-app/A.b"),
        ("type B { as: [A!] @hasInverse(field: b) } type A { b: B }", "my-app/A.b"),
        ("type B { as: [A!] @hasInverse(field: bs) } type A { bs: [B!] }", "my-app/B.as"),
        ("type A { bs: [B!] } type B { as: [A!] @hasInverse(field: bs) }", "my-app/A.bs"),
        ("type A { b: B } type B { a: A @hasInverse(field: b) }", "my-app/A.b"),
        ("type B { a: A } type A { b: B @hasInverse(field: a) }", "my-app/B.a"),
        ("type A { friends: [A!] @hasInverse(field: friends) }", "my-app/A.friends"),
    ],
)
def test_one_of_a_relations_two_ends_is_written(text: str, written: str) -> None:
    catalog = parse(text)
    ends = {f"{type_.name}.{one.name}": one for type_ in catalog.types.values() for one in type_.fields.values()}
    assert [name for name, one in ends.items() if one.written] == [written]
    first, second = [*ends.values(), *ends.values()][:2]
    assert (first.inverse, second.inverse) == (second.name, first.name)


def test_an_extension_names_its_fields_after_the_app_that_adds_them() -> None:
    catalog = parse("""
    type Face { image: Picture @hasInverse(field: faces) }
    extend type Picture @from(app: "image-importer", type: "Image") {
      faces: [Face!] @hasInverse(field: image, onDelete: CASCADE)
      count: Int! @default(value: 0)
    }
    extend type Tag @from(app: "image-importer")
    """)
    assert catalog.types.keys() == {"my-app/Face"} and catalog.extensions.keys() == {"image-importer/Image"}
    added = catalog.extensions["image-importer/Image"].fields
    assert (
        added["my-app/faces"].cascade and added["my-app/faces"].inverse == "image" and not added["my-app/faces"].written
    )
    assert catalog.types["my-app/Face"].fields["image"].inverse == "my-app/faces"
    assert merge([OTHERS, catalog]).types["image-importer/Image"].fields.keys() >= {
        "title",
        "my-app/faces",
        "my-app/count",
    }


def test_the_platforms_own_types_parse() -> None:
    assert builtin_catalog().types.keys() >= {
        f"core/{name}" for name in ("App", "Grant", "Device", "Owner", "Capability")
    }
