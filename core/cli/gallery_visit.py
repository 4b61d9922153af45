"""Opens the gallery as a browser would, following the sign-in from host to host, and returns the answer's status.

Browsers resolve `photos.localhost` to this machine, but not every system's own resolver does. So requests go to the node's address, with
the host in the header.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import aiohttp

__all__ = ["visit_gallery"]

MOST_STEPS = 6


async def visit_gallery(link: str) -> int:
    """Return the gallery's HTTP status after signing in with the one-time link."""
    node = urlsplit(link)
    gallery = f"{node.scheme}://photos.{node.netloc}/"
    url = f"{link}&next={quote(gallery, safe='')}"
    cookies: dict[str, str] = {}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for _ in range(MOST_STEPS):
            parts = urlsplit(url)
            headers = {"Host": parts.netloc, "Cookie": cookies.get(parts.netloc, ""), "Accept": "text/html"}
            path = f"{parts.path or '/'}?{parts.query}"
            async with session.get(
                f"{node.scheme}://{node.netloc}{path}", headers=headers, allow_redirects=False
            ) as answer:
                for name, morsel in answer.cookies.items():
                    cookies[parts.netloc] = f"{name}={morsel.value}"
                if answer.status not in (302, 303, 307):
                    return answer.status
                target = answer.headers["Location"]
                url = target if "://" in target else f"{parts.scheme}://{parts.netloc}{target}"
    return 310  # too many redirects
