"""The remarks below a table of trials."""

import pytest

from results.analysis.grace import grace_epochs_now, grace_remarks
from results.analysis.remarks import (
    decision_remarks,
    hardest_met,
    run_remarks,
    undistilled_beats_teacher,
    why_best,
)
from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.records.record import Record
from tests.worlds.journals import made_record
from tests.worlds.views import view_of

NOTES = {"baseline": 12.0, "target": 11.0, "stretch": 10.0}


def journal(
    teacher_pct: float | None, *trials: tuple[str, float | None, str | None]
) -> list[Record]:
    """A teacher, and trials of one epoch: distillation, VEER in percent, state."""
    records: list[Record] = [made_record("teacher", veer_pct=teacher_pct)]
    for number, (distillation, veer_pct, state) in enumerate(trials):
        config = {"loss": {"distillation": distillation}}
        own = {"time_s": 0.0, "trial": number}
        records.append(made_record("trial_started", **own, params={}, config=config))
        records.append(made_record("epoch", **own, epoch=1, veer_pct=veer_pct))
        if state is not None:
            records.append(made_record("trial_ended", **own, state=state, reason=None))
    return records


@pytest.mark.parametrize(
    ("veer_pct", "met"),
    [
        (12.01, None),
        (12.0, "baseline"),
        (11.5, "baseline"),
        (11.0, "target"),
        (10.0, "stretch"),
        (3.0, "stretch"),
        (None, None),
    ],
)
def test_the_hardest_criterion_counts_its_bound_included(
    veer_pct: float | None, met: str | None
) -> None:
    assert hardest_met(veer_pct, NOTES) == met
    assert hardest_met(veer_pct, dict(reversed(NOTES.items()))) == met
    assert hardest_met(veer_pct, {}) is None


def test_criteria_are_those_of_the_latest_settings() -> None:
    def with_settings(event: str, **settings: object) -> Record:
        return made_record(event, settings=settings)

    first = with_settings("search_started", success={"good": 9})
    assert view_of([first]).success == {"good": 9.0}
    assert view_of([first, with_settings("search_resumed", success={"fair": 12})]).success == {
        "fair": 12.0
    }
    assert view_of([first, made_record("search_resumed")]).success == {"good": 9.0}
    assert view_of([first, with_settings("search_resumed", success=None)]).success == {}
    assert view_of([with_settings("search_started")]).success == view_of([]).success == {}


def test_an_undistilled_student_that_beats_the_teacher_is_a_warning() -> None:
    trials = [("cosine", 5.0, "complete"), ("none", 5.56, "complete"), ("none", 6.0, None)]
    assert undistilled_beats_teacher(view_of(journal(6.62, *trials))) == (
        "students without distillation already beat the teacher (5.56 % in trial 1 against "
        "6.62 %): it has little to teach; train it further, or use a better one"
    )


def test_an_equal_student_is_a_warning_too() -> None:
    warning = undistilled_beats_teacher(view_of(journal(6.62, ("none", 6.62, "stopped_early"))))
    assert warning is not None
    assert "already equal the teacher (6.62 % in trial 0 against 6.62 %)" in warning


@pytest.mark.parametrize(
    "records",
    [
        journal(6.62, ("none", 6.63, "complete")),
        journal(6.62, ("cosine", 5.0, "complete"), ("none", None, "complete")),
        journal(6.62, ("none", 1.0, "diverged"), ("none", 1.0, "failed")),
        journal(None, ("none", 1.0, "complete")),
        journal(6.62),
        journal(6.62, ("none", 1.0, "complete"))[1:],
    ],
    ids=["worse", "distilled", "unranked", "unknown teacher", "no trial", "no teacher"],
)
def test_without_such_a_student_there_is_no_warning(records: list[Record]) -> None:
    assert undistilled_beats_teacher(view_of(records)) is None


def test_remarks_of_a_run_begin_with_the_warning(shared_run: RunFolder) -> None:
    assert run_remarks(RunView.read(shared_run)) == [
        "warning: students without distillation already beat the teacher (10.25 % in trial 1 "
        "against 11.50 %): it has little to teach; train it further, or use a better one",
        "meets: the hardest criterion that the VEER does not exceed, of baseline 12 %, "
        "target 11 %, stretch 10 %",
        "2 suggestions not run, outside the limits: max_params 2, max_macs 1",
    ]


def test_a_plain_run_has_no_remarks(journal_run: RunFolder) -> None:
    records = journal_run.read()
    quiet = [each for each in records if getattr(each, "state", None) != "failed"]
    assert run_remarks(view_of(quiet)) == []


def test_failed_trials_are_reported_with_the_reason(journal_run: RunFolder) -> None:
    remarks = run_remarks(RunView.read(journal_run))
    assert remarks == ["1 trial failed: 1 by 'worker died' (trial 3)"]


def test_trials_that_were_run_again_are_named_with_what_they_were_given() -> None:
    records = journal(None, *[("none", 20.0, "complete")] * 4)
    for trial, share in ((1, 0.5), (3, 0.5), (3, 1.0)):
        records.append(
            made_record("infrastructure", time_s=0.0, kind="out_of_memory", trial=trial,
             epoch=1, resource="gpu", share=share, message="full")
        )  # fmt: skip
    assert run_remarks(view_of(records)) == [
        "3 faults: 3 out_of_memory (trials 1, 3); see veer show",
        "run again, with the share from then on: trial 1 (out of memory, 0.5 GPU), "
        "trial 3 (out of memory, 0.5 GPU; out of memory, 1 GPU)"
    ]


def decided_by(kind: str, *dprimes: float | None) -> list[Record]:
    """A trial for each d'; all have a VEER of 9 %."""
    records = [made_record("search_started", settings={"decide_by": kind})]
    for number, dprime in enumerate(dprimes):
        config = {"loss": {"distillation": "cosine"}}
        records.append(made_record("trial_started", trial=number, config=config))
        records.append(made_record("epoch", trial=number, veer_pct=9.0, dprime=dprime))
    return records


@pytest.mark.parametrize(
    ("kind", "dprimes", "remarks"),
    [
        ("veer", (None, 2.0), []),
        ("dprime", (1.0, 2.0), ["trials are compared by their EER from d'"]),
        (
            "blend",
            (None, 2.0, 3.0),
            ["trials are compared by their mean of VEER and EER from d'; 1 of 3 epochs without d' "
             "by their VEER"],
        ),
        ("mean_of_last_k", (None,), ["trials are compared by their mean VEER of 3 epochs"]),
    ],
)  # fmt: skip
def test_another_figure_than_the_veer_is_named(
    kind: str, dprimes: tuple[float | None, ...], remarks: list[str]
) -> None:
    assert decision_remarks(view_of(decided_by(kind, *dprimes))) == remarks


def test_the_best_is_named_by_the_figure_that_decides() -> None:
    assert why_best(view_of(decided_by("dprime", 2.0, 3.0))) == (
        "by its lowest EER from d': 6.68 % (VEER 9.00 %)"
    )
    assert why_best(view_of(decided_by("veer", 2.0, 3.0))) == "by its lowest VEER: 9.00 %"


AUTO = {"scheduler": {"kind": "asha", "grace_epochs": "auto", "reduction_factor": 3}}
RAISED = {"grace_epochs": 3.0, "was_epochs": 1.0, "rung": 1.0, "tau": 0.214, "num_trials": 12}


def test_changes_of_the_grace_epochs_are_remarks() -> None:
    started = made_record("search_started", settings=AUTO | {"max_epochs": 27})
    assert grace_remarks(view_of([started])) == ["grace_epochs auto: began at 1"]
    lowered = RAISED | {"grace_epochs": 1.0, "was_epochs": 3.0, "tau": 0.6}
    changes = [made_record("grace_changed", **each) for each in (RAISED, lowered)]
    view = view_of([started, *changes])
    assert grace_remarks(view) == [
        "grace_epochs auto: began at 1; raised from 1 to 3, since the order of trials at rung 1 "
        "does not hold until the next rung (Kendall's tau 0.21 over 12 trials); lowered from 3 to "
        "1, since the order of trials at rung 1 holds until the next rung (Kendall's tau 0.60 "
        "over 12 trials)"
    ]
    assert grace_epochs_now(view) == 1
    assert grace_epochs_now(view_of([started, changes[0]])) == 3
    fixed = AUTO["scheduler"] | {"grace_epochs": 3}
    started = made_record("search_started", settings={"scheduler": fixed, "max_epochs": 27})
    assert grace_remarks(view_of([started])) == []
