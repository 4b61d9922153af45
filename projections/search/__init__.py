"""The search view: full text, facets and ranges over what schemas mark `@search`."""
