"""The records of a search: enough to identify it and to compute a trial again, and no secret."""

import pytest
import torch
from rich.console import Console

from results.journal.history import latest, trial_histories
from results.journal.run_folder import RunFolder
from results.tables.trials import trials_table
from search.review.reproduce import Conditions, reproduce
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.errors import RunError
from tests.search.journal_rewriting import rewrite_journal
from tests.worlds.views import view_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_here")]
TOKEN = "feedc0ffee" * 6


@pytest.fixture
def search(make_settings, tmp_path):
    """A function that runs a search of two trials and returns its folder and its output."""

    def go(**overrides) -> tuple[RunFolder, str]:
        output = tmp_path / "output"
        with output.open("a") as out:
            view = SearchView(Console(file=out, width=200))
            settings = make_settings(**{"num_trials": 2, **overrides})
            run_search(settings, tmp_path / "run", view)
        return RunFolder(tmp_path / "run"), output.read_text()

    return go


def test_every_trial_records_its_model_and_is_reproduced_bit_for_bit(search, tmp_path):
    run, _ = search()
    records = run.read()
    for history in trial_histories(records):
        [placed] = (
            record
            for record in records
            if record["event"] == "placed" and record["trial"] == history.trial
        )
        assert placed["config_hash"] == history.started["config_hash"]
        assert len(placed["model_hash"]) == 16
        assert placed["hardware"]["torch"] == torch.__version__
    assert None not in trials_table(view_of(records)).column("model_hash").to_pylist()
    before = torch.get_num_threads()
    found = reproduce(run, 0, tmp_path / "again", conditions=Conditions())
    torch.set_num_threads(before)
    assert (found.verdict, found.differences) == ("reproduced bit for bit: 3 epochs", ())


def test_search_records_lists_stores_and_environment(search):
    run, _ = search(num_trials=1)
    corpus = latest(run.read(), "corpus")
    assert {name: len(facts["sha256"]) for name, facts in corpus["lists"].items()} == {
        "train": 64, "val": 64,
    }  # fmt: skip
    assert list(corpus["stores"]) == ["train", "val", "targets of 80 frames, copy 0"]
    provenance = latest(run.read(), "search_started")["provenance"]
    assert len(provenance["code_sha256"]) == 64
    assert f"torch=={provenance['versions']['torch']}" in provenance["packages"]


def test_search_is_not_resumed_with_another_list(search):
    run, _ = search(num_trials=1)
    records = run.read()
    latest(records, "corpus")["lists"]["val"]["sha256"] = "0" * 64
    rewrite_journal(run, records)
    before = run.journal.read_bytes()
    with pytest.raises(RunError, match="is not the val list that this run began with"):
        search(num_trials=2)
    assert run.journal.read_bytes() == before


def test_resume_elsewhere_prints_the_differences_and_continues(search):
    run, output = search(num_trials=1)
    assert "since this run began" not in output
    records = run.read()
    records[0]["provenance"]["versions"]["torch"] = "1.0"
    rewrite_journal(run, records)
    run, output = search(num_trials=2)
    assert "since this run began: torch 1.0 then, " in output
    assert len(trial_histories(run.read())) == 2
    assert sum(record["event"] == "corpus" for record in run.read()) == 1


def test_no_token_is_in_anything_that_a_search_writes(search, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    run, output = search(num_trials=1)
    assert TOKEN not in output
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert {"journal.jsonl", "log.txt", "search.yaml"} <= {path.name for path in files}
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
