"""The root fields of a view's GraphQL schema: its queries, mutations and subscriptions, in the schema language."""

from __future__ import annotations

from collections.abc import Mapping

from core.graph.schema.names import small
from core.graph.schema.sdl import scalar_name
from core.graph.schema.view_type import ViewType

__all__ = ["root_fields"]

_AS_OF = ', "A time or a revision: answer with the state of then." asOf: String'


def root_fields(types: Mapping[str, ViewType]) -> dict[str, dict[str, str]]:
    """Return the definitions of the fields of each root type, by name."""
    query = {"revision": '"The revision that this node has reached." revision: String!'}
    mutation: dict[str, str] = {}
    subscription: dict[str, str] = {}
    for type_ in types.values():
        name = type_.name
        identity = f", {type_.id_field.name}: {scalar_name(type_.id_field)}" if type_.id_field else ""
        query[f"get{name}"] = f"get{name}(id: ID{identity}{_AS_OF}): {name}"
        page = f"filter: {name}Filter, order: [{name}Order!], first: Int, offset: Int, after: String"
        query[f"query{name}"] = f"query{name}({page}{_AS_OF}): [{name}!]!"
        query[f"aggregate{name}"] = f"aggregate{name}(filter: {name}Filter): {name}AggregateResult!"
        if type_.addable:
            mutation[f"add{name}"] = f"add{name}(input: [Add{name}Input!]!, upsert: Boolean): Add{name}Payload"
        if type_.updatable:
            mutation[f"update{name}"] = f"update{name}(input: Update{name}Input!): Update{name}Payload"
        if type_.deletable:
            mutation[f"delete{name}"] = f"delete{name}(filter: {name}Filter!): Delete{name}Payload"
        subscription[f"{small(name)}Events"] = f"{small(name)}Events(after: String): {name}Event!"
    if types:
        query["nodeHistory"] = "nodeHistory(type: String!, id: ID!, first: Int): [HistoryEntry!]!"
        narrow = "types: [String!], filter: SearchFilter, count: [String!], order: String, first: Int, offset: Int"
        query["search"] = f"search(text: String!, {narrow}): SearchResult!"
    return {"Query": query, "Mutation": mutation, "Subscription": subscription}
