"""The records of a search: enough to identify it and to compute a trial again, and no secret."""

import pytest
import torch
from rich.console import Console

from results.analysis.run_view import RunView
from results.journal.history import latest, trial_histories
from results.records.search_records import CorpusRecord, SearchStarted
from results.tables.trials import trials_table
from search.review.reproduce import Conditions, reproduce
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.errors import RunError
from tests.search.journal_rewriting import editable_records, rewrite_journal
from tests.worlds.finished_search import SECRET

pytestmark = pytest.mark.cluster


def test_every_trial_records_its_model_and_is_reproduced_bit_for_bit(finished, tmp_path):
    records = finished.run.read()
    histories = trial_histories(records)
    for history in histories:
        [placed] = (
            record
            for record in records
            if record.event == "placed" and record.trial == history.trial
        )
        assert placed.config_hash == history.started.config_hash
        assert len(placed.model_hash) == 16
        assert placed.hardware["torch"] == torch.__version__
    assert None not in trials_table(RunView.read(finished.run)).column("model_hash").to_pylist()
    complete = next(history.trial for history in histories if history.state == "complete")
    before = torch.get_num_threads()
    view = RunView.read(finished.run)
    found = reproduce(view, complete, tmp_path / "again", conditions=Conditions())
    torch.set_num_threads(before)
    assert (found.verdict, found.differences) == ("reproduced bit for bit: 3 epochs", ())


def test_trials_that_are_shorter_than_the_start_of_a_worker_leave_none_unused(finished):
    placed = [each for each in finished.run.read() if each.event == "placed"]
    assert len(placed) == 6
    assert len({each.pid for each in placed}) == 2


def test_search_records_lists_stores_and_environment(finished):
    records = finished.run.read()
    corpus = latest(records, CorpusRecord)
    assert {name: len(facts.sha256) for name, facts in corpus.lists.items()} == {
        "train": 64, "val": 64,
    }  # fmt: skip
    assert list(corpus.stores) == ["train", "val", "targets of 80 frames, copy 0"]
    provenance = latest(records, SearchStarted).provenance
    assert len(provenance["code_sha256"]) == 64
    assert f"torch=={provenance['versions']['torch']}" in provenance["packages"]


def test_search_is_not_resumed_with_another_list(finished, copied, make_settings):
    records = editable_records(copied)
    [corpus] = (record for record in records if record["event"] == "corpus")
    corpus["lists"]["val"]["sha256"] = "0" * 64
    rewrite_journal(copied, records)
    before = copied.journal.read_bytes()
    settings = make_settings(**finished.overrides | {"num_trials": 7})
    with pytest.raises(RunError, match="is not the val list that this run began with"):
        run_search(settings, copied.path, SearchView(Console(quiet=True)))
    assert copied.journal.read_bytes() == before


def test_resume_elsewhere_prints_the_differences_and_continues(finished, followed_up):
    assert "since this run began" not in finished.output
    assert "since this run began: torch 1.0 then, " in followed_up.output
    records = followed_up.run.read()
    assert len(trial_histories(records)) > len(trial_histories(finished.run.read()))
    assert sum(record.event == "corpus" for record in records) == 1


def test_no_token_is_in_anything_that_a_search_writes(finished):
    assert SECRET not in finished.output
    files = [path for path in finished.run.path.rglob("*") if path.is_file()]
    assert {"journal.jsonl", "log.txt", "search.yaml"} <= {path.name for path in files}
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
