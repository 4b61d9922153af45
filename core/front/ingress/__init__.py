"""The way in from a browser: core's own pages on its own origin, each web app on an origin of its own, one cookie for each."""
