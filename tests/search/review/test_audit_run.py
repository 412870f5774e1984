"""`veer audit` on journals of searches that were played."""

import json
from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from results.journal.journal import Journal, read_journal
from results.records.search_records import SearchEnded, SearchStarted
from search.config.sections import FollowUpPlan
from search.review.audit_run import audit_search
from spaces.files.errors import RunError
from tests.search.commands import veer
from tests.worlds.journals import changed
from tests.worlds.simulated_search import MAX_EPOCHS, make_coordinator, work
from tests.worlds.views import view_of

SETTINGS = {
    "scheduler": {"kind": "asha", "grace_epochs": 1, "reduction_factor": 3},
    "max_epochs": MAX_EPOCHS,
    "finalists": 3,
}


@pytest.fixture
def play(tmp_path: Path):
    """A function that plays a search with follow-ups and returns its folder."""

    def go(plan: FollowUpPlan, **settings) -> Path:
        folder = tmp_path / "run"
        with Journal(folder / "journal.jsonl") as journal:
            journal.append(SearchStarted(settings=SETTINGS | settings, provenance={}))
            work(make_coordinator(journal, num_trials=16, follow_ups=plan))
            journal.append(SearchEnded(reason="finished"))
        return folder

    return go


def test_an_audit_of_a_search_with_repeats_and_controls(play):
    folder = play(FollowUpPlan(repeat=2, finalists=3, control=4))
    found = audit_search(RunView.read(folder))
    assert found.stop_faults == ()
    assert [rung.epoch for rung in found.rungs] == [1, 3]
    assert found.rungs[0].num_reached == found.cost.num_trials == 16
    assert found.rungs[1].num_reached == 16 - found.rungs[0].num_stopped
    assert sum(rung.num_stopped for rung in found.rungs) == found.cost.num_stopped
    assert found.cost.num_complete == 16 - found.cost.num_stopped
    assert found.cost.epochs_without == 16 * MAX_EPOCHS
    assert found.cost.follow_up_epochs == 10 * MAX_EPOCHS
    assert len(found.controls.controls) == 4
    # The played curves depend only on the config, so a control repeats what it follows.
    assert {each.largest_gap_pct for each in found.controls.controls} == {0.0}
    assert [len(group.trials) for group in found.seeds.groups] == [2, 2, 2]
    assert (found.seeds.degrees, found.seeds.runs_each) == (3, 2)


def test_a_forged_stop_is_a_fault_of_the_audit(play):
    folder = play(FollowUpPlan())
    records = list(read_journal(folder / "journal.jsonl"))
    place = next(n for n, r in enumerate(records) if getattr(r, "state", None) == "complete")
    records[place] = changed(records[place], state="stopped_early")
    [fault] = audit_search(view_of(records)).stop_faults
    assert fault.startswith(f"trial {records[place].trial} was stopped after epoch 9")


def test_the_command_prints_tables_and_a_verdict(play, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    folder = play(FollowUpPlan(repeat=2, finalists=3, control=4))
    output = veer("audit", folder).output
    for words in ("Rungs: rank correlation", "Controls: stopped trials", "Seeds: runs of one"):
        assert words in output
    assert "stopped early, each as the rungs require" in output
    assert "for a fuller audit" not in output


def test_the_command_names_the_options_that_would_answer_more(play):
    output = veer("audit", play(FollowUpPlan())).output
    assert "resume" in output
    assert "--control 5 --repeat 3" in output


def test_programs_get_json(play):
    folder = play(FollowUpPlan(repeat=2, finalists=3, control=4))
    found = json.loads(veer("audit", folder, "--json").output)
    assert found["rungs"][0]["epoch"] == 1
    assert found["controls"]["would_have_won"]["of"] == 4
    assert found["verdict"][0].endswith("each as the rungs require")


def test_a_search_that_runs_can_be_audited(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings=SETTINGS, provenance={}))
    found = audit_search(RunView.read(tmp_path))
    assert (found.controls, found.seeds, found.cost.epochs) == (None, None, 0)
    assert "0 trials stopped early" in veer("audit", tmp_path).output


@pytest.mark.parametrize(
    ("settings", "match"),
    [({}, r"settings must have finalists, max_epochs, scheduler to be audited"),
     ({"max_epochs": 9, "finalists": 3}, r"settings must have scheduler to be audited"),
     (SETTINGS | {"scheduler": {"kind": "asha", "grace_epochs": 0}},
      r"do not define the rungs: scheduler\.grace_epochs: .*from 1 to 100,000"),
     (SETTINGS | {"max_epochs": "9"}, r"max_epochs must be an integer of at least 1, got '9'")],
)  # fmt: skip
def test_a_journal_without_the_rungs_is_refused(tmp_path, settings, match):
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings=settings, provenance={}))
    with pytest.raises(RunError, match=match):
        audit_search(RunView.read(tmp_path))
    with pytest.raises(RunError, match="must start with search_started"):
        audit_search(view_of(()))
