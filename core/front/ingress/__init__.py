"""The way in from a browser: core's own pages at its own origin, and each web app at a separate origin with a separate cookie."""
