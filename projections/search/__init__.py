"""The search view: full text, facets and ranges over fields marked with `@search`."""
