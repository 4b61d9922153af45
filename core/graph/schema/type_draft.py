"""A type while it is read from an app's schema, before it goes into the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphql import ObjectTypeDefinitionNode, ObjectTypeExtensionNode

from core.graph.schema.field import FieldDraft

__all__ = ["TypeDraft"]


@dataclass
class TypeDraft:
    """A type, or an extension of another app's. `alias`: what the file calls it."""

    stored: str
    alias: str
    node: ObjectTypeDefinitionNode | ObjectTypeExtensionNode
    extends: bool
    fields: dict[str, FieldDraft] = field(default_factory=dict[str, FieldDraft])
