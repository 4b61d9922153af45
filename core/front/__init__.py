"""What listens: the web server and which origin a request is for (`http`, `ingress`), the console, the administration socket, metrics.

Cookies are set in `ingress.signin`. What a request means is decided by those below; here it finds its way.
"""
