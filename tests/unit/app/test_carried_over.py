"""What an upgrade may take as decided: the owner's answer to exactly the same request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.access.grant import carry_over, requested_grants
from pcloud.manifest import Manifest, Use

OLD = Use(read="library/Book", fields=["tagger/tags"], optional=True)


def wishes(*uses: Use):
    return requested_grants(Manifest(name="notes", version="1.0.0", uses=list(uses)))


@pytest.mark.parametrize("state", ["approved", "rejected"])
@pytest.mark.parametrize("fields", [["tagger/tags"], []])
def test_the_same_wish_and_a_smaller_one_stay_as_they_were_decided(state, fields):
    held = [replace(grant, state=state) for grant in wishes(OLD)]
    [carried] = carry_over(wishes(Use(read="library/Book", fields=fields, optional=True)), held)
    assert carried.state == state


@pytest.mark.parametrize(
    "use",
    [
        Use(read="library/Book", fields=["tagger/tags", "diary/secrets"], optional=True),
        Use(read="library/Book", fields=["diary/secrets"], optional=True),
        Use(write="library/Book", fields=["tagger/tags"], optional=True),
        Use(extend="library/Book", optional=True),
        Use(read="library/Books", optional=True),
        Use(network="internet", optional=True),
    ],
)
def test_request_for_more_is_asked_again(use):
    [carried] = carry_over(wishes(use), [replace(grant, state="approved") for grant in wishes(OLD)])
    assert carried.state == "pending"


def test_rejected_grant_that_became_required_is_asked_again():
    held = [replace(grant, state="rejected") for grant in wishes(OLD)]
    [carried] = carry_over(wishes(Use(read="library/Book", fields=["tagger/tags"])), held)
    assert carried.state == "pending"
