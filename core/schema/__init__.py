"""From an app's `schema.graphql` to the catalog, and from the catalog and the grants to each caller's own GraphQL schema."""

from core.schema.access import TypeAccess, app_access, owner_access
from core.schema.build import build_view
from core.schema.builtin import builtin_catalog
from core.schema.parse import parse_schema
from core.schema.registry import ViewRegistry
from core.schema.view import View
from core.schema.view_type import ViewField, ViewType

__all__ = [
    "TypeAccess", "View", "ViewField", "ViewRegistry", "ViewType", "app_access", "build_view", "builtin_catalog",
    "owner_access", "parse_schema",
]  # fmt: skip
