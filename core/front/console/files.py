"""The console's built files, and their content security policy: scripts, styles and requests of this origin only."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

__all__ = ["POLICY", "BuiltPage"]

FOLDER = Path(__file__).with_name("web") / "dist"
# `svelte-trusted-html` turns the fixed text of our own templates into elements; no other policy may.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types svelte-trusted-html",
    )
)
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
}
# The name of a file in `assets` holds a hash of its bytes.
FOREVER = "private, max-age=31536000, immutable"
NOT_BUILT = "The console's page is not built: run `just setup`, or `npm ci && npm run build` in core/front/console/web."


class BuiltPage:
    """Serves the files below `folder`; every other path gets the page itself, which shows what the path names."""

    def __init__(self, folder: Path = FOLDER):
        self._folder = folder.resolve()

    def file(self, request: web.Request) -> web.StreamResponse:
        path = (self._folder / request.path.lstrip("/")).resolve()
        asset = path.is_relative_to(self._folder / "assets")
        if not path.is_relative_to(self._folder) or not path.is_file() or path.name.startswith("."):
            if asset:  # belongs to an earlier build of the page
                raise web.HTTPNotFound(text="this file belongs to another version of the console: load the page again")
            path = self._folder / "index.html"
        if not path.is_file():
            return web.Response(status=503, text=NOT_BUILT, headers=SAFE)
        return web.FileResponse(path, headers={**SAFE, "Cache-Control": FOREVER if asset else "no-cache"})
