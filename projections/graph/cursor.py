"""Cursors: the end of a page as the values of its order, so that it stays valid when rows come and go."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from pcloud.errors import Rejected
from projections.graph.catalog import Catalog
from projections.graph.contract import Order, Select
from projections.graph.relation import find_scalar

__all__ = ["decode_cursor", "encode_cursor", "sort_keys", "window"]

MAX_ORDERS = 8
_decoder = msgspec.json.Decoder(list[Any])


def sort_keys(catalog: Catalog, select: Select) -> tuple[Order, ...]:
    """The complete order of the select: its order up to the id, which breaks all ties. Raises `Rejected`."""
    if len(select.order) > MAX_ORDERS:
        raise Rejected(f"a query may be ordered by at most {MAX_ORDERS} fields")
    keys: list[Order] = []
    for item in select.order:
        if find_scalar(catalog, select.type, item.field).many:
            raise Rejected(f"{item.field!r} of {select.type!r} is a list: it can't be ordered by")
        keys.append(item)
        if item.field == "id":
            return tuple(keys)
    return (*keys, Order("id"))


def window(select: Select) -> tuple[int | None, int]:
    """`first` and `offset`; raises `Rejected` for an invalid page."""
    if not 0 <= (select.first or 0) < 2**31 or not 0 <= select.offset < 2**31:
        raise Rejected("`first` and `offset` must be whole numbers from 0 to 2147483647")
    return select.first, select.offset


def encode_cursor(keys: Sequence[Order], values: Sequence[Any]) -> str:
    """`values`: those of the sort keys, in order."""
    body = msgspec.json.encode([_signature(keys), *values])
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode_cursor(keys: Sequence[Order], text: str) -> list[Any]:
    """The values of the sort keys; raises `Rejected` for a cursor of another order or an invalid one."""
    try:
        body = _decoder.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise Rejected(f"{text[:80]!r} is not a cursor: send back what PCloud gave you, unchanged") from error
    if len(body) != len(keys) + 1 or body[0] != _signature(keys) or not isinstance(body[-1], str):
        raise Rejected("the cursor comes from a query with another order: begin again without `after`")
    if any(isinstance(value, list | dict) or (isinstance(value, int) and abs(value) >= 2**63) for value in body):
        raise Rejected(f"{text[:80]!r} is not a cursor: send back what PCloud gave you, unchanged")
    return body[1:]


def _signature(keys: Sequence[Order]) -> str:
    return ",".join(f"{'-' if item.descending else '+'}{item.field}" for item in keys)
