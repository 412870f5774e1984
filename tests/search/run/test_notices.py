"""Lines on the screen about how a search decides."""

import pytest

from search.run.notices import DecisionNotices
from tests.worlds.journals import made_record

WITHOUT = made_record("epoch", trial=2, epoch=4, veer_pct=9.0)
WITH = made_record("epoch", trial=2, epoch=5, veer_pct=9.0, dprime=2.0)
DIVERGED = made_record("epoch", trial=2, epoch=5)
LACK = "trial 2 has no d' in epoch 4: there its VEER takes the place of its EER from d'"


@pytest.mark.parametrize(
    ("kind", "records", "lines"),
    [
        ("dprime", [WITH, DIVERGED], []),
        ("dprime", [WITH, WITHOUT, WITHOUT], [LACK]),
        ("veer", [WITHOUT], []),
        ("mean_of_last_k", [WITHOUT], []),
    ],
)
def test_an_epoch_without_dprime_is_printed_once_where_it_is_needed(kind, records, lines):
    printed: list[str] = []
    notices = DecisionNotices(kind, printed.append)
    for record in records:
        notices.take(record)
    assert printed == lines


def test_every_change_of_the_grace_is_printed():
    printed: list[str] = []
    change = {"grace_epochs": 3.0, "was_epochs": 1.0, "rung": 1.0, "tau": 0.2, "num_trials": 9}
    notices = DecisionNotices("veer", printed.append)
    for _ in range(2):
        notices.take(made_record("grace_changed", **change))
    line = (
        "grace_epochs raised from 1 to 3, since the order of trials at rung 1 does not hold until "
        "the next rung (Kendall's tau 0.20 over 9 trials)"
    )
    assert printed == [line, line]
