"""The properties of the fold, checked with many more logs than `test_fold.py` has time for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.projections import test_fold
from tests.unit.projections.logs import libraries, selects

DATA = (st.data(),)
QUESTIONS = (libraries(), st.lists(selects(), min_size=3, max_size=8), st.data())


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("rule", "strategies"),
    [
        (test_fold.test_any_split_at_transaction_ends_folds_alike, DATA),
        (test_fold.test_repeated_delivery_changes_nothing, DATA),
        (test_fold.test_reopened_store_continues_where_it_was, DATA),
        (test_fold.test_every_question_is_answered_as_the_model_does, QUESTIONS),
    ],
)
def test_a_rule_of_the_fold_holds_for_a_thousand_logs(rule: Any, strategies: Any) -> None:
    settings(max_examples=1000)(given(*strategies)(rule.hypothesis.inner_test))()
