"""The app's process: one action, which a trigger calls, and the page with its pictures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from pcloud.app import App
from pcloud.errors import PCloudError
from photos.thumbnails import Thumbnails

app = App()
thumbnails = Thumbnails(lambda: app.graph, app.objects)
PAGE = Path(__file__).parent.parent / "web" / "dist"
# A thumbnail's address contains the picture's id, which follows from its bytes: the content of an id never changes.
FOREVER = "private, max-age=31536000, immutable"
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
ORIGINAL = "query($id: ID!) { getImage(id: $id) { place mime } }"


@app.action
async def make_thumbnails(image: str) -> dict[str, bool]:
    return {"made": await thumbnails.make(image)}


async def thumbnail(request: web.Request) -> web.Response:
    data = await thumbnails.get(request.match_info["id"], request.match_info["size"])
    return web.Response(body=data, content_type="image/webp", headers={"Cache-Control": FOREVER, **SAFE})


async def original(request: web.Request) -> web.StreamResponse:
    """The untouched file, as a download."""
    found = (await app.graph.query(ORIGINAL, {"id": request.match_info["id"]}))["getImage"]
    if found is None:
        raise web.HTTPNotFound(text="there is no such image")
    name = quote(found["place"].rpartition("/")[2])
    async with app.objects.open(found["place"]) as source:
        response = web.StreamResponse(
            headers={
                "Content-Type": found["mime"],
                "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
                **SAFE,
            }
        )
        response.content_length = source.size
        await response.prepare(request)
        async for chunk in source.chunks:
            await response.write(chunk)
        await response.write_eof()
        return response


async def page(request: web.Request) -> web.StreamResponse:
    """The built page; any path without a file returns the page itself, which shows what the path names."""
    path = (PAGE / request.match_info["path"]).resolve()
    if not path.is_relative_to(PAGE) or not path.is_file():
        path = PAGE / "index.html"
    if not path.is_file():
        raise web.HTTPServiceUnavailable(text="the gallery's page is not built: run `just setup`")
    hashed = path.parent.name == "assets"
    headers = {"Cache-Control": FOREVER if hashed else "no-cache", "Content-Security-Policy": POLICY, **SAFE}
    return web.FileResponse(path, headers=headers)


@web.middleware
async def errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """An error gives its reason and is never cached by the browser: the next look may find the picture."""
    try:
        return await handler(request)
    except PCloudError as error:
        return web.Response(status=error.http_status, text=error.message, headers={"Cache-Control": "no-store", **SAFE})


def main() -> None:
    app.web.middlewares.append(errors)
    app.web.router.add_get("/thumbnail/{id}/{size}", thumbnail)
    app.web.router.add_get("/original/{id}", original)
    app.web.router.add_get("/{path:.*}", page)
    app.run()


if __name__ == "__main__":
    main()
