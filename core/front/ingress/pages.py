"""The content security policies of core's own pages: no scripts, and no styles but those in the page itself."""

from __future__ import annotations

import base64
import hashlib
import re

__all__ = ["NOTHING", "sealed_policy"]

# For answers that are not pages.
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def sealed_policy(page: str, form_action: str = "'none'") -> str:
    """The Content-Security-Policy for a page without scripts: its styles are named by their hashes, so others can't be added."""
    hashes = [hashlib.sha256(style.encode()).digest() for style in _STYLE.findall(page)]
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes) or "'none'"
    return f"default-src 'none'; style-src {styles}; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
