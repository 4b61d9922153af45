"""How large a schema may be. A view's generated schema is about thirty times its source, so these keep a node's memory bounded."""

from __future__ import annotations

__all__ = ["MAX_BYTES", "MAX_ENUM_VALUES", "MAX_FIELDS", "MAX_FIELDS_PER_TYPE", "MAX_TOKENS", "MAX_TYPES"]

MAX_BYTES = 256 * 1024
MAX_TOKENS = 50_000
MAX_TYPES = 200
MAX_FIELDS_PER_TYPE = 200
MAX_FIELDS = 2_000
MAX_ENUM_VALUES = 500
