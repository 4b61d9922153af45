"""The knowledge graph as callers see it: what a view shows (`schema`), how a change becomes events (`command`), and GraphQL (`api`).

Whether a caller sees a field is decided in `schema.access` and `schema.build`. The stores themselves are projections, outside core.
"""
