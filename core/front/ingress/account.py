"""Core's own pages on every app's origin: the account page, the page after signing out, and the page of an error.

They need no script, and the app has no part in them; but an app's page can imitate anything, so only pages of core's
own origin and of the console prove something.
"""

from __future__ import annotations

import html

from aiohttp import web

from core.front.ingress.pages import sealed_policy
from pcloud.errors import PCloudError
from projections.directory import Session

__all__ = ["SIGN_OUT", "account_page", "error_page", "signed_out_page"]

TITLES = {403: "This is not allowed", 404: "Nothing is here", 503: "Not available now"}
SIGN_OUT = "/_pcloud/signout"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} · PCloud</title><style>
:root{{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}}body{{margin:0;min-height:100dvh;display:grid;place-items:center;
background:light-dark(#f4f5f7,#14161a)}}main{{background:light-dark(#fff,#1e2127);padding:2rem;border-radius:1rem;width:min(22rem,86vw);
box-sizing:border-box;box-shadow:0 1px 12px #0002}}h1{{margin:0 0 .5rem;font-size:1.4rem;overflow-wrap:anywhere}}
p{{margin:.2rem 0 1rem;opacity:.85}}
a,button{{font:inherit;font-weight:600;display:block;width:100%;box-sizing:border-box;padding:.7rem;margin-top:.6rem;border:1px solid #8886;
border-radius:.5rem;text-align:center;text-decoration:none;color:inherit;background:none;cursor:pointer}}
.first{{border-color:transparent;background:#2563eb;color:#fff}}
a:focus-visible,button:focus-visible{{outline:3px solid #2563eb;outline-offset:2px}}
</style><main>{body}</main></html>"""


def account_page(title: str, session: Session, console: str, home: str) -> web.Response:
    """The account page on the origin of the app called `title`. `console`, `home`: the addresses of the console and of
    core's own front page."""
    body = (
        f"<h1>{html.escape(title)}</h1><p>You are signed in as the owner of this cloud, in {html.escape(session.browser)} "
        f"({html.escape(session.device)}).</p>"
        f'<form method="post" action="{SIGN_OUT}"><button class="first">Sign out</button></form>'
        f'<a href="/">Back to {html.escape(title)}</a><a href="{html.escape(console)}sessions">All sessions, in the console</a>'
        f'<a href="{html.escape(home)}">Your cloud</a>'
    )
    return _page(title, body)


def signed_out_page(home: str) -> web.Response:
    body = (
        "<h1>You are signed out</h1><p>This browser no longer has access to your cloud, on this page and on all others.</p>"
        f'<a class="first" href="{html.escape(home)}signin">Sign in again</a>'
    )
    return _page("Signed out", body)


def error_page(error: PCloudError, home: str) -> web.Response:
    """The page for a browser that opened an address which can't be shown. `home`: of core's own front page."""
    title = TITLES.get(error.http_status, "This address can’t be shown")
    told = html.escape(error.message[:1].upper() + error.message[1:])
    body = f'<h1>{title}</h1><p>{told}.</p><a class="first" href="{html.escape(home)}">Your cloud</a>'
    return _page(title, body, error.http_status)


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = PAGE.format(title=html.escape(title), body=body)
    headers = {"Content-Security-Policy": sealed_policy(text, "'self'"), "Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
