"""The Chromium of all tests: which program it is, and how it starts."""

from __future__ import annotations

import os

__all__ = ["CHROMIUM", "QUIET"]

CHROMIUM = os.environ.get("PCLOUD_CHROMIUM", "/usr/bin/chromium")
# Without these, Chromium looks up hosts of its maker's at every start.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
