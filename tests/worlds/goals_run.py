"""A made-up run with two goals: every trial has a CPU latency, and VEERs fall with it."""

from pathlib import Path

from results.analysis.run_view import RunView
from results.records.record import Record
from results.records.search_records import SearchResumed, SearchStarted
from results.records.trial_records import TrialStarted
from tests.worlds.journals import write_journal
from tests.worlds.made_up_run import SPACE, made_up_records

OBJECTIVE = ["veer", "cpu_latency"]


def latency_of(trial: int) -> float:
    return 0.1 + 0.07 * (trial * 7 % 12)


def with_goals(record: Record) -> Record:
    fields = record.as_dict()
    match record:
        case SearchStarted() | SearchResumed():
            fields["settings"] = {**fields["settings"], "objective": OBJECTIVE}
        case TrialStarted():
            fields["costs"] = {"cpu_latency": latency_of(record.trial)}
        case _:
            return record
    return type(record)(**fields)


def write_goals_run(folder: Path, num_trials: int = 20) -> RunView:
    """Write the journal and space of such a run, and return its view."""
    folder.mkdir(parents=True)
    records = [with_goals(each) for each in made_up_records(num_trials, 0)]
    write_journal(folder / "journal.jsonl", records)
    (folder / "space.yaml").write_text(SPACE)
    return RunView.read(folder)
