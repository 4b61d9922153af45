"""Which headers pass between a browser and an app's own web server, and which ones core adds in each direction.

To the app: no cookie of core's or of another app's, no header that only core may set (`Pcloud-*`, `Forwarded`,
`X-Forwarded-*`), no credentials. To the browser: no cookie in core's name or for other hosts, no header by which a
page would reach beyond its origin, and the policies that hold for every app's page, whatever the app itself sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

__all__ = ["BOUNDARY", "DEFAULT_POLICY", "OWN_COOKIE", "SAFE", "is_own_cookie", "passing_headers", "returning_headers"]

OWN_COOKIE = "pcloud_"
# A browser keeps a cookie of this name for the one host that set it, over https: https://httpwg.org/specs/rfc6265bis,
# "__Host-".
HOST_ONLY = "__Host-"
HOP_BY_HOP = frozenset({
    "connection", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
# Core answers `expect`; some servers read the others as another address, method or client than the real one.
NOT_FOR_APPS = HOP_BY_HOP | {
    "authorization", "expect", "forwarded", "host", "x-http-method", "x-http-method-override", "x-method-override", "x-original-url",
    "x-real-ip", "x-rewrite-url",
}  # fmt: skip
# `clear-site-data` would sign the owner out of sibling hosts too; the others make browsers report to other hosts,
# contact hosts before the visitor does, or enable features that browsers are still trying out.
NOT_FOR_BROWSERS = HOP_BY_HOP | {
    "activate-storage-access", "alt-svc", "clear-site-data", "content-security-policy-report-only",
    "cross-origin-embedder-policy-report-only", "cross-origin-opener-policy-report-only", "document-policy-report-only", "feature-policy",
    "integrity-policy-report-only", "link", "nel", "observe-browsing-topics", "origin-trial",
    "permissions-policy-report-only", "public-key-pins", "report-to", "reporting-endpoints", "sourcemap", "speculation-rules",
    "strict-transport-security", "supports-loading-mode", "x-sourcemap",
}  # fmt: skip
NOT_FOR_BROWSERS_EITHER = ("access-control-", "attribution-reporting-")
# Directives by which a policy reports violations: to any host, with addresses that the page makes up.
REPORTING = frozenset({"report-uri", "report-to"})

# The policy for each app's page. A browser enforces every policy it receives, so an app's own policy can only restrict
# this one further: the page connects to its own origin only (so that it can't send through the browser what its sandbox
# keeps it from sending), and other sites can't frame it.
BOUNDARY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
# For an app without a policy: no inline scripts, no eval. An app that needs them sets a policy of its own.
DEFAULT_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# Features that apps' pages do not need: devices, location, payments, keys, other sites' storage, the network around
# this machine. The names are those that browsers know; a page may still fill the screen, play, copy to the clipboard
# and keep the screen awake.
FORBIDDEN = (
    "accelerometer", "browsing-topics", "camera", "clipboard-read", "compute-pressure", "digital-credentials-get", "display-capture",
    "geolocation", "gyroscope", "hid", "identity-credentials-get", "idle-detection", "keyboard-map", "local-fonts", "local-network-access",
    "magnetometer", "microphone", "midi", "otp-credentials", "payment", "publickey-credentials-create", "publickey-credentials-get",
    "serial", "storage-access", "usb", "window-management", "xr-spatial-tracking",
)  # fmt: skip
SAFE = {
    "Permissions-Policy": ", ".join(f"{name}=()" for name in FORBIDDEN),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "X-DNS-Prefetch-Control": "off",
    "X-Permitted-Cross-Domain-Policies": "none",
}
# Referrer policies that tell another origin no more than that a visitor came.
DISCREET = frozenset({"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"})


def is_own_cookie(pair: str) -> bool:
    """Return True if a cookie is core's, or some server may read it as core's: with a prefix, in quotes, in capitals,
    behind an empty name."""
    return OWN_COOKIE in pair.lower()


def passing_headers(headers: Mapping[str, str], *, shared_site: bool = False) -> CIMultiDict[str]:
    """The request's headers that an app may see.

    `shared_site`: browsers treat the apps' hosts as one site, as below a domain of one's own. Then an app's page can
    set cookies for all of them, so only names with `__Host-`, which it can't set for others, are passed on as the
    app's own.
    """
    named = {name.strip().lower() for value in _all(headers, "Connection") for name in value.split(",")}
    passing: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low == "cookie":
            value = "; ".join(_cookies(value, shared_site))
            if not value:
                continue
        if low not in NOT_FOR_APPS and low not in named and not _is_cores(low):
            passing.add(name, value)
    return passing


def _all(headers: Mapping[str, str], name: str) -> Iterable[str]:
    return headers.getall(name, ()) if hasattr(headers, "getall") else filter(None, [headers.get(name)])  # type: ignore[attr-defined]


def _is_cores(low: str) -> bool:
    """Many servers treat `-`, `_`, `.` and other signs in a header's name as the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", low).lstrip("-")
    return plain.startswith(("pcloud", "x-forwarded", "x-pcloud"))


def _cookies(value: str, shared_site: bool) -> Iterable[str]:
    """Split at each `;`, in quotes too, so that a value can't hide core's cookie in quotes."""
    for part in map(str.strip, value.split(";")):
        name = part.partition("=")[0].strip()
        # A cookie without a name is sent as its bare value, which may look like any other cookie.
        if name and "=" in part and not is_own_cookie(part) and (not shared_site or name.startswith(HOST_ONLY)):
            yield part


def returning_headers(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The answer's headers that a browser may see, with the policies that hold for every app."""
    returning: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        low = name.lower()
        if low in NOT_FOR_BROWSERS or low.startswith(NOT_FOR_BROWSERS_EITHER) or low in _SET:
            continue
        if low == "content-security-policy":
            value = _without_reports(value)
        if low != "set-cookie" or _may_set(value):
            returning.add(name, value)
    if "Content-Security-Policy" not in returning:
        returning.add("Content-Security-Policy", DEFAULT_POLICY)
    returning.add("Content-Security-Policy", BOUNDARY)
    # Of several policies a browser takes the last that it knows.
    if {one.strip().lower() for one in returning.getall("Referrer-Policy", [""])} - DISCREET:
        returning["Referrer-Policy"] = "same-origin"
    returning.update(SAFE)
    return returning


def _without_reports(policies: str) -> str:
    """Return the policies of one header, separated by commas, without the directives that make a browser report."""
    kept = (
        ";".join(one for one in policy.split(";") if one.split()[:1] and one.split()[0].lower() not in REPORTING)
        for policy in policies.split(",")
    )
    return ",".join(kept)


_SET = frozenset(name.lower() for name in SAFE)


def _may_set(cookie: str) -> bool:
    """An app may not set a cookie in core's name, without a name, or for other hosts."""
    pair, *attributes = cookie.split(";")
    name, equals, _ = pair.partition("=")
    elsewhere = any(one.partition("=")[0].strip().lower() == "domain" for one in attributes)
    return bool(equals and name.strip()) and not is_own_cookie(pair) and not elsewhere
