"""The search projection: full text, facets and ranges over fields marked with `@search`."""
