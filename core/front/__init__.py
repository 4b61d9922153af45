"""Everything that listens: the web server and the origins that it serves (`http`, `ingress`), the console, the
administration socket, metrics.

Cookies are set in `ingress.signin`. This wing routes requests; the wings below decide what they do.
"""
