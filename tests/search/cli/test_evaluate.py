"""`veer evaluate`: a test list is scored only with `--final`, which is recorded and counted."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.analysis.remarks import run_remarks
from results.analysis.run_view import RunView
from results.journal.journal import Journal, read_journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from results.tables.trials import trials_table
from search.provenance.run_lock import run_lock
from spaces.files.errors import ConfigError, RunError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.tiny_models import SMALL_STUDENT
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus import known_lists
from trainable.corpus.corpus import read_corpus_config
from trainable.corpus.test_list_ledger import LEDGER

LOCKED = "a test list is opened once, at the end"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def corpus(make_corpus: Callable[..., Path], tmp_path: Path) -> Path:
    """A corpus whose validation speakers are parted: two to validate, two to test."""
    file = make_corpus(tmp_path / "corpus", num_val_speakers=4, num_utterances=2)
    lines = (file.parent / "veri_val.txt").read_text().splitlines()
    for name, speakers in (("veri_val", ("id00006", "id00007")), ("test", ("id00008", "id00009"))):
        own = [x for x in lines if all(p.split("/")[0] in speakers for p in x.split()[1:])]
        (file.parent / f"{name}.txt").write_text("\n".join(own) + "\n")
    write_yaml(file, read_yaml(file).data | {"test_dir": "val", "test_list": "test.txt"})
    return file


@pytest.fixture
def student(corpus: Path, tmp_path: Path) -> Path:
    """A training run of one epoch."""
    data = {name: str(corpus.parent / value) for name, value in read_yaml(corpus).data.items()}
    trial = SMALL_STUDENT | {"loss": {"distillation": "none"}}
    write_yaml(tmp_path / "run.yaml", {"corpus": data, "trial": trial})
    out = tmp_path / "student"
    result = veer("train", tmp_path / "run.yaml", "--out", out, "--epochs", 1)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def run(student: Path, corpus: Path, tmp_path: Path) -> RunFolder:
    """A search whose trial 0 is the student; trial 1 is worse, and its weights are gone."""
    loaded = load_speaker_model(student)
    (report,), config = loaded.history, loaded.config
    folder = tmp_path / "search"
    with Journal(folder / "journal.jsonl") as journal:
        settings = {"corpus": read_corpus_config(corpus).model_dump(mode="json")}
        journal.append(SearchStarted(settings=settings, provenance={}))
        for trial in (0, 1):
            journal.append(
                TrialStarted(
                    trial=trial,
                    params={},
                    config=config.canonical(),
                    config_hash=config.config_hash(),
                    seed=config.seed,
                )
            )
            veer_pct = report["veer_pct"] + trial
            journal.append(EpochEnded(trial=trial, epoch=1, veer_pct=veer_pct))
            journal.append(TrialEnded(trial=trial, state="complete", reason=None))
    shutil.copytree(student / "model", folder / "trials" / "0000" / "model")
    return RunFolder(folder)


def final(model: Path, *arguments: object) -> str:
    result = veer("evaluate", model, "--final", "--eval-frames", 60, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def ledger_lines(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = (folder / LEDGER).read_text().splitlines()
    return [each for each in map(json.loads, lines) if each["event"] == event]


def test_the_recorded_corpus_names_the_test_list(student: Path, corpus: Path) -> None:
    shown = final(student)
    assert f"6 pairs of {corpus.parent / 'test.txt'}" in " ".join(shown.split())
    assert "the test list was never opened before" in shown
    assert "makes it a validation list" in shown
    (opened,) = ledger_lines(corpus.parent, "opened")
    assert opened["model"] == str(student / "model" / "model000000001.model")
    assert (opened["num_pairs"], opened["run"], opened["trial"]) == (6, None, None)
    (found,) = ledger_lines(corpus.parent, "figures")
    assert found["id"] == opened["id"]
    eer = f"EER {found['figures']['cosine']['eer_pct']:.2f} %"
    assert f"cosine of mean embeddings: {eer}, no interval: it needs 6 speakers" in shown


def test_earlier_openings_are_printed(student: Path) -> None:
    final(student)
    shown = final(student)
    assert "the test list was opened 1 time before: " in shown
    assert re.search(r"UTC by \S+ for .*model000000001\.model \(EER \d+\.\d\d %\)", shown)
    assert "opened 2 times before" in final(student)


def test_a_reordered_copy_elsewhere_counts_too(
    student: Path, corpus: Path, tmp_path: Path
) -> None:
    final(student)
    copy = tmp_path / "elsewhere" / "mine.txt"
    copy.parent.mkdir()
    lines = (corpus.parent / "test.txt").read_text().splitlines()
    copy.write_text("\n".join(lines[::-1]))
    shown = final(student, "--pairs", copy, "--root", corpus.parent / "val")
    assert "the test list was opened 1 time before" in shown


def test_an_interrupted_evaluation_counts(
    student: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("trainable.verification.evaluation.score_pairs", interrupted)
        assert veer("evaluate", student, "--final").exit_code != 0
    assert len(ledger_lines(corpus.parent, "opened")) == 1
    assert "opened 1 time before" in final(student)


def test_the_test_list_is_refused_without_final(student: Path, corpus: Path) -> None:
    folder = corpus.parent
    message = rf"test\.txt is the test list of the corpus.*{LOCKED}.*--root \S+ --final$"
    with pytest.raises(ConfigError, match=message):
        veer("evaluate", student, "--pairs", folder / "test.txt", "--root", folder / "val")
    assert not (folder / LEDGER).exists()


def test_a_copy_of_it_is_refused_too(student: Path, corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.txt"
    shutil.copy(corpus.parent / "test.txt", copy)
    with pytest.raises(ConfigError, match=r"copy\.txt is the test list of the corpus"):
        veer("evaluate", student, "--pairs", copy, "--root", corpus.parent / "val")


def test_a_list_that_was_opened_is_refused_for_any_model(student: Path, corpus: Path) -> None:
    final(student)
    model = corpus.parent / "other.model"
    shutil.copy(student / "model" / "model000000001.model", model)
    lists = ("--pairs", corpus.parent / "test.txt", "--root", corpus.parent / "val")
    with pytest.raises(ConfigError, match=r"is a test list, opened 1 time before \(last \d{4}-"):
        veer("evaluate", model, *lists)


def test_a_published_test_list_is_refused(
    student: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = known_lists.KnownList(name="Small-O", num_pairs=6, num_targets=2, num_speakers=2)
    monkeypatch.setattr(known_lists, "KNOWN_LISTS", (small,))
    lists = ("--pairs", corpus.parent / "veri_val.txt", "--root", corpus.parent / "val")
    with pytest.raises(ConfigError, match=r"veri_val\.txt is Small-O, which results are publ"):
        veer("evaluate", student, *lists)


def test_another_list_needs_no_opening(student: Path, corpus: Path) -> None:
    folder = corpus.parent
    lists = ("--pairs", folder / "veri_val.txt", "--root", folder / "val", "--eval-frames", 60)
    result = veer("evaluate", student, *lists)
    assert result.exit_code == 0, result.output
    assert result.output.count("minDCF") == 2
    assert not (folder / LEDGER).exists()


def test_the_validation_list_as_test_list_gives_a_warning(student: Path, corpus: Path) -> None:
    folder = corpus.parent
    shown = final(student, "--pairs", folder / "veri_val.txt", "--root", folder / "val")
    assert "warning: this is the validation list of" in shown


def test_the_best_trial_of_a_search_is_opened_for(run: RunFolder, corpus: Path) -> None:
    shown = final(run.path)
    assert "trial 0, " in shown
    (opened,) = ledger_lines(corpus.parent, "opened")
    assert (opened["run"], opened["trial"]) == (str(run.path), 0)
    record = run.read()[-1]
    assert (record.event, record.trial, record.epoch) == ("test_opened", 0, 1)
    assert (record.opening, record.num_pairs) == (opened["id"], 6)
    assert f"trial 0 of {run.path} (EER" in final(run.path)
    view = RunView.read(run)
    assert any("test list opened 2 times: trial 0 at" in text for text in run_remarks(view))
    assert trials_table(view).num_rows == 2


def test_a_model_file_of_a_search_is_known_as_its_trial(run: RunFolder) -> None:
    final(run.trial(0) / "model" / "model000000001.model")
    assert run.read()[-1].event == "test_opened"


def test_a_running_search_is_not_opened_for(run: RunFolder, corpus: Path) -> None:
    message = r"in use by another search.*not opened"
    with run_lock(run.path), pytest.raises(RunError, match=message):
        final(run.path)
    assert not (corpus.parent / LEDGER).exists()
    assert read_journal(run.journal)[-1].event == "trial_ended"


def test_only_the_ledger_holds_it_where_the_run_cannot_be_written(
    run: RunFolder, corpus: Path
) -> None:
    (run.path / ".lock").mkdir()
    shown = final(run.path)
    assert "cannot be written (Is a directory): only the ledger records the opening" in shown
    assert len(ledger_lines(corpus.parent, "opened")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --pairs LIST and --root FOLDER, or --final"),
        (("--pairs", "x"), "--pairs and --root must be given together"),
        (("--corpus", "c.yaml"), "give --pairs LIST"),
        (("--final", "--trial", "3"), "--trial 3 needs the run folder of a search"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    arguments: tuple[str, ...], message: str, student: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        veer("evaluate", student, *arguments)


def test_a_corpus_without_a_test_list_is_refused(student: Path, corpus: Path) -> None:
    data = {k: v for k, v in read_yaml(corpus).data.items() if not k.startswith("test_")}
    write_yaml(corpus, data)
    with pytest.raises(ConfigError, match=r"corpus\.yaml has a corpus without one: give --pairs"):
        veer("evaluate", student, "--final", "--corpus", corpus)


def test_a_model_without_a_record_needs_a_list(student: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    model = shutil.copy(student / "model" / "model000000001.model", tmp_path / "alone")
    with pytest.raises(ConfigError, match="has no record of its corpus: give --pairs and --root"):
        veer("evaluate", model, "--final")


def test_a_trial_that_is_not_there_is_named(run: RunFolder) -> None:
    with pytest.raises(RunError, match="the run has no trial 9; its trials are 0 to 1"):
        veer("evaluate", run.path, "--final", "--trial", 9)
