"""Sizes as people write them on the command line."""

from __future__ import annotations

import pytest

from core.cli.limits import bytes_of
from pcloud.errors import Rejected


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2**31), ("512 MiB", 2**29), ("1.5g", 3 * 2**29), ("4096", 4096), ("64kib", 2**16), ("1 TB", 2**40)],
)
def test_a_size_is_read_as_people_write_it(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "none", "1e9", "2 gigs", "½GiB"])
def test_malformed_size_is_refused(text):
    with pytest.raises(Rejected, match="is not a size"):
        bytes_of(text)


def test_a_disk_may_be_without_limit():
    assert bytes_of("none", none=True) == 0
