"""From an app's `schema.graphql` to the catalog, and from the catalog and the grants to each caller's own GraphQL schema."""

from core.graph.schema.access import TypeAccess, app_access, owner_access
from core.graph.schema.build import build_view
from core.graph.schema.builtin import builtin_catalog
from core.graph.schema.parse import parse_schema
from core.graph.schema.registry import ViewRegistry
from core.graph.schema.view import View
from core.graph.schema.view_type import ViewField, ViewType

__all__ = [
    "TypeAccess", "View", "ViewField", "ViewRegistry", "ViewType", "app_access", "build_view", "builtin_catalog",
    "owner_access", "parse_schema",
]  # fmt: skip
