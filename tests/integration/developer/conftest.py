"""Apps of third parties on a node that `pcloud.testing` runs, as their own tests do."""

from __future__ import annotations

from pcloud.testing import cloud

__all__ = ["cloud"]
