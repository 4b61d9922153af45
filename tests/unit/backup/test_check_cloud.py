"""A place belongs to one cloud; another one there is wrong for good, and not only busy."""

from __future__ import annotations

import pytest

from core.backup.repository import StoredBackup
from core.backup.take import check_cloud
from core.cli import EXIT_CODES
from core.node.backups.scheduled import BUSY
from pcloud.errors import Rejected

MINE = StoredBackup("1", "mine", "2026-11-30T03:30:00Z", complete=True)


def test_place_of_another_cloud_is_a_failure_of_a_scheduled_backup() -> None:
    check_cloud("/mnt/disk", [], "mine")
    check_cloud("/mnt/disk", [MINE], "mine")
    with pytest.raises(Rejected, match="another cloud") as refused:
        check_cloud("/mnt/disk", [MINE, MINE._replace(cloud="other", complete=False)], "mine")
    assert EXIT_CODES[refused.value.code] != BUSY
