"""Derived ids must stay the same for ever: the result of a key is found by them."""

from __future__ import annotations

from core.graph.command.derived_ids import transaction_of_key


def test_old_key_without_person_id_finds_its_transaction() -> None:
    """As old versions derived them: from `owner`, `owner as photos` and `device:d`."""
    assert transaction_of_key("person:owner", "k") == "bb31117ade2c06c4bdab1d18edb8aa9e"
    assert transaction_of_key("person:owner", "k", "photos") == "972543e72c941d6702db44822c507c81"
    assert transaction_of_key("device:d", "k") == "4f0ca3bf3bbcb9c1b2798aafa82aa38c"


def test_a_key_counts_for_each_person_and_app_apart() -> None:
    who = [
        ("person:owner", ""),
        ("person:owner", "photos"),
        ("person:owner", "notes"),
        ("person:ada", ""),
        ("app:photos", ""),
    ]
    assert len({transaction_of_key(actor, "k", through) for actor, through in who}) == len(who)
