"""Reads an app's `schema.graphql` (Dgraph's directives) into a catalog, or says exactly what is wrong and where.

    type ImageSegment { image: Image @hasInverse(field: segments)  label: String @search(by: [term]) }
    extend type Image @from(app: "image-importer") { segments: [ImageSegment!] @hasInverse(field: image, onDelete: CASCADE) }

Knows nothing about grants or callers, and accepts a schema completely or not at all: the first fault is raised as `Rejected`.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphql import (
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    GraphQLSyntaxError,
    Node,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    Source,
    parse,
)

from core.graph.schema.bounds import MAX_BYTES, MAX_ENUM_VALUES, MAX_FIELDS, MAX_FIELDS_PER_TYPE, MAX_TOKENS, MAX_TYPES
from core.graph.schema.directive import read_directives
from core.graph.schema.field import FieldDraft, read_field
from core.graph.schema.names import SHARED, generated
from core.graph.schema.place import Places, suggest
from core.graph.schema.relations import settle_relations
from core.graph.schema.scalar import SCALARS
from core.graph.schema.type_draft import TypeDraft
from pcloud.errors import Rejected
from pcloud.subject import check_app, check_type, split_name
from projections.graph.catalog import Catalog, TypeDef

__all__ = ["parse_schema"]

_WANTED = "write `type`, `enum` or `extend type … @from(app: …)`"
_NOT_SUPPORTED = {
    "interface_type_definition": "interfaces are not supported: repeat the fields in each type",
    "union_type_definition": "unions are not supported: use one relation per type",
    "scalar_type_definition": f"custom scalars are not supported: use one of {', '.join(SCALARS)}",
    "input_object_type_definition": "input types are made by PCloud: remove this one",
    "directive_definition": "the directives are built in: remove this definition",
    "schema_definition": "the root operations are made by PCloud: remove this `schema` block",
    "schema_extension": "the root operations are made by PCloud: remove this block",
    "enum_type_extension": "write all values into the enum itself",
}


class SchemaReader:
    def __init__(self, app: str, others: Catalog, places: Places) -> None:
        self.app, self.others, self.places = app, others, places
        self.enums: dict[str, tuple[str, ...]] = {}
        self.types: dict[str, TypeDraft] = {}  # by alias

    def read(self, document: DocumentNode) -> Catalog:
        for definition in document.definitions:
            self._declare(definition)
        self._check_names()
        for draft in self.types.values():
            self._read_fields(draft)
        settle_relations(self.app, list(self.types.values()), self.places)
        return self._catalog()

    # --- names first, so that types may be declared in any order ---------------------------------------------------------------

    def _declare(self, node: Node) -> None:
        if isinstance(node, EnumTypeDefinitionNode):
            self._declare_enum(node)
        elif isinstance(node, ObjectTypeDefinitionNode):
            self._declare_type(node)
        elif isinstance(node, ObjectTypeExtensionNode):
            self._declare_extension(node)
        else:
            reason = _NOT_SUPPORTED.get(node.kind)
            self.places.refuse(node, reason or f"{node.kind.replace('_', ' ')} is not allowed in a schema: {_WANTED}")

    def _take_name(self, node: Node, name: str) -> None:
        try:
            check_type(name)
        except Rejected as error:
            self.places.refuse(node, error.message, error)
        if not name[0].isupper():
            self.places.refuse(
                node, f"the name {name!r} must begin with a capital letter: {name[0].upper() + name[1:]!r}"
            )
        if name in SHARED:
            self.places.refuse(node, f"the name {name!r} is reserved by PCloud: choose another one")
        taken = next((other for other in (*self.types, *self.enums) if other.lower() == name.lower()), None)
        if taken is not None:
            also = "" if taken == name else f" (as {taken!r}: names must differ in more than capitals)"
            self.places.refuse(node, f"{name!r} is declared twice{also}: remove or rename one")

    def _declare_enum(self, node: EnumTypeDefinitionNode) -> None:
        self._take_name(node.name, node.name.value)
        for directive in node.directives or ():
            self.places.refuse(directive, f"@{directive.name.value} is not allowed on an enum: remove it")
        values: list[str] = []
        for value in node.values or ():
            name = value.name.value
            if name in values:
                self.places.refuse(value, f"the value {name!r} is twice in enum {node.name.value!r}: remove one")
            if name.startswith("__"):
                self.places.refuse(value, f"the value {name!r} begins with '__', which GraphQL reserves: rename it")
            values.append(name)
        if not values:
            self.places.refuse(node, f"enum {node.name.value!r} has no values: add at least one")
        if len(values) > MAX_ENUM_VALUES:
            self.places.refuse(
                node, f"enum {node.name.value!r} has {len(values)} values, {MAX_ENUM_VALUES} are allowed"
            )
        self.enums[node.name.value] = tuple(values)

    def _declare_type(self, node: ObjectTypeDefinitionNode) -> None:
        name = node.name.value
        self._take_name(node.name, name)
        if node.interfaces:
            self.places.refuse(node.interfaces[0], "interfaces are not supported: repeat the fields in each type")
        for directive in node.directives or ():
            hint = "use `extend type` for another app's type" if directive.name.value == "from" else "remove it"
            self.places.refuse(directive, f"@{directive.name.value} is not allowed on a type: {hint}")
        if not node.fields:
            self.places.refuse(node, f"type {name!r} has no fields: add at least one")
        self.types[name] = TypeDraft(f"{self.app}/{name}", name, node, extends=False)

    def _declare_extension(self, node: ObjectTypeExtensionNode) -> None:
        name = node.name.value
        if node.interfaces:
            self.places.refuse(node.interfaces[0], "interfaces are not supported: remove `implements`")
        found = {directive.name.value: directive for directive in node.directives or ()}
        if "from" not in found:
            self.places.refuse(
                node,
                f"`extend type {name}` does not name the type's app: "
                f'write `extend type {name} @from(app: "the-app") {{ … }}`',
            )
        arguments = read_directives(node.directives or (), {"from"}, self.places)["from"]
        app, type_ = str(arguments["app"]), str(arguments.get("type", name))
        self._check_extended(found["from"], app, type_)
        self._take_name(node.name, name)
        self.types[name] = TypeDraft(f"{app}/{type_}", name, node, extends=True)

    def _check_extended(self, node: Node, app: str, name: str) -> None:
        try:
            check_app(app, reserved=True)
        except Rejected as error:
            self.places.refuse(node, error.message, error)
        if app == self.app:
            self.places.refuse(node, f"{name!r} is this app's own type: write the fields into `type {name}` itself")
        if app == "core":
            self.places.refuse(node, "the platform's own types can't be extended: declare a type of your own")
        if f"{app}/{name}" not in self.others.types:
            there = [split_name(stored)[1] for stored in self.others.types if stored.startswith(f"{app}/")]
            reason = (
                f"the app {app!r} has no type {name!r}.{suggest(name, there)}"
                if there
                else f"the app {app!r} is not installed, or declares no types: install it first"
            )
            self.places.refuse(node, reason)

    def _check_names(self) -> None:
        if len(self.types) > MAX_TYPES:
            self.places.refuse(
                list(self.types.values())[MAX_TYPES].node, f"{len(self.types)} types, {MAX_TYPES} are allowed"
            )
        made = {name: alias for alias in self.types for name in generated(alias)}
        for alias, draft in self.types.items():
            if alias in made:
                self.places.refuse(
                    draft.node.name,
                    f"the name {alias!r} is made by PCloud for the type {made[alias]!r}: choose another one",
                )

    # --- then the fields ---------------------------------------------------------------------------------------------------------

    def _read_fields(self, draft: TypeDraft) -> None:
        nodes: Sequence[FieldDefinitionNode] = draft.node.fields or ()
        if len(nodes) > MAX_FIELDS_PER_TYPE:
            self.places.refuse(
                draft.node, f"{draft.alias!r} has {len(nodes)} fields, {MAX_FIELDS_PER_TYPE} are allowed"
            )
        seen: dict[str, str] = {}
        for node in nodes:
            name = node.name.value
            if (twin := seen.get(name.lower())) is not None:
                also = "" if twin == name else f" (as {twin!r}: names must differ in more than capitals)"
                self.places.refuse(node, f"the field {name!r} is twice in {draft.alias!r}{also}: remove or rename one")
            seen[name.lower()] = name
            one = read_field(node, self.enums, {alias: d.stored for alias, d in self.types.items()}, self.places)
            if draft.extends:
                self._check_added(one)
            one.stored = f"{self.app}/{name}" if draft.extends else name
            draft.fields[name] = one
        relations = [name for name, one in draft.fields.items() if one.target]
        for name in relations:
            if (clash := f"{name}Aggregate") in draft.fields:
                self.places.refuse(
                    draft.fields[clash].node,
                    f"the field {clash!r} is made by PCloud for the relation {name!r}: rename it",
                )
        if sum(len(other.fields) for other in self.types.values()) > MAX_FIELDS:
            self.places.refuse(draft.node, f"the schema has more than {MAX_FIELDS} fields in all: split the app")
        identities = [one for one in draft.fields.values() if one.is_id]
        if len(identities) > 1:
            self.places.refuse(identities[1].node, f"{draft.alias!r} has two @id fields: keep one")

    def _check_added(self, one: FieldDraft) -> None:
        if one.is_id:
            self.places.refuse(
                one.node, "a field added to another app's type can't be @id: only the type's own app decides that"
            )
        if one.required and one.default is None:
            self.places.refuse(
                one.node,
                f"the field {one.name!r} is added to another app's type, whose entities don't have it: "
                "remove the `!` or give it a @default",
            )

    def _catalog(self) -> Catalog:
        types: dict[str, TypeDef] = {}
        extensions: dict[str, TypeDef] = {}
        for draft in self.types.values():
            fields = {one.stored: one.to_definition() for one in draft.fields.values()}
            if isinstance(draft.node, ObjectTypeExtensionNode):
                extensions[draft.stored] = TypeDef(draft.stored, fields)
            else:
                description = draft.node.description.value if draft.node.description else ""
                types[draft.stored] = TypeDef(draft.stored, fields, description)
        return Catalog(types=types, extensions={name: one for name, one in extensions.items() if one.fields})


def parse_schema(app: str, text: str, *, others: Catalog, file: str = "schema.graphql") -> Catalog:
    """Return the catalog that `app` declares. `others`: merged declarations of the other apps. Raises `Rejected` with file:line:column."""
    places = Places(file)
    size = len(text.encode())
    if size > MAX_BYTES:
        raise Rejected(f"{file}: the schema has {size} bytes, {MAX_BYTES} are allowed: split the app")
    try:
        document = parse(Source(text, file), max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        if not text.strip():
            raise Rejected(f"{file}: the schema is empty: declare a type, or leave `schema` out of app.yaml") from error
        places.refuse_syntax(error)
    return SchemaReader(app, others, places).read(document)
