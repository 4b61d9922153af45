"""What people and programs reach from outside: the web server and its origins (`http`, `ingress`), the console, the
administration socket, metrics, and the platform's own GraphQL fields (`platform`).

Cookies are set in `ingress.signin`. This wing routes requests; the wings below decide what they do.
"""
