"""Serves GraphiQL, the page on which people try the API: built files from our own `dist/`, no files from other hosts."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

__all__ = ["graphiql"]

FOLDER = Path(__file__).with_name("graphiql") / "dist"
_ASSET = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".map": "application/json",
}
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'"
)
_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>GraphiQL is not built</title>
<h1>GraphiQL is not built</h1>
<p>The API itself works: send POST requests to this address. To have this page, run <code>just setup</code>, or
<code>npm ci &amp;&amp; npm run build</code> in <code>core/graph/api/graphiql</code>.</p>
"""


def graphiql(request: web.Request, folder: Path = FOLDER) -> web.StreamResponse:
    """Serve the page, or with `?asset=NAME` one of its files."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if name := request.query.get("asset"):
        path = folder / name
        if not _ASSET.fullmatch(name) or path.suffix not in _TYPES or not path.is_file():
            raise web.HTTPNotFound(text=f"GraphiQL has no file {name[:100]!r}")
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return web.FileResponse(path, headers={**headers, "Content-Type": _TYPES[path.suffix]})
    page = folder / "index.html"
    if not page.is_file():
        return web.Response(status=503, text=_NOT_BUILT, content_type="text/html", headers=headers)
    headers |= {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    return web.FileResponse(page, headers={**headers, "Content-Type": "text/html; charset=utf-8"})
