"""A search and a training run read only the validation list, and report what is wrong with it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from results.analysis.remarks import run_remarks
from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.trackers.trackers import Trackers
from search.config.search_config import SearchConfig
from search.provenance.data_record import note_corpus
from search.run.materials import SearchJob, prepare_materials
from search.run.progress import SearchView
from spaces.files.errors import CorpusError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.finished_search import FinishedSearch
from tests.worlds.tiny_models import SMALL_STUDENT
from tests.worlds.watched_files import files_opened, with_test_list
from trainable.config.reading import read_trial_space
from trainable.corpus import known_lists
from trainable.corpus.corpus import read_trial_list
from trainable.corpus.known_lists import content_sha256
from trainable.corpus.test_list_ledger import OpeningLedger, new_opening
from trainable.store.tasks import build_shards


def job_of(settings: SearchConfig, folder: Path, output: io.StringIO | None = None) -> SearchJob:
    return SearchJob(
        settings=settings,
        folder=folder,
        space=read_trial_space(settings.space),
        records=(),
        view=SearchView(Console(file=output or io.StringIO(), width=500)),
        trackers=Trackers((), "", pytest.fail),
    )


@pytest.mark.parametrize("is_there", [True, False])
def test_training_never_opens_the_test_list(
    is_there: bool,
    make_corpus: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    corpus = make_corpus(tmp_path / "corpus", num_val_speakers=3, num_utterances=3)
    data = read_yaml(with_test_list(corpus, tmp_path, is_there=is_there)).data
    trial = SMALL_STUDENT | {"loss": {"distillation": "none"}}
    write_yaml(tmp_path / "run.yaml", {"corpus": data, "trial": trial})
    with files_opened() as opened:
        result = veer("train", tmp_path / "run.yaml", "--out", tmp_path / "out", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert str(corpus.parent / "veri_val.txt") in opened
    assert [each for each in opened if each.startswith(str(tmp_path / "test"))] == []


@pytest.mark.cluster
def test_a_search_never_opens_the_test_list(finished: FinishedSearch) -> None:
    corpus = read_yaml(Path(finished.overrides["corpus"])).data
    assert not Path(corpus["test_list"]).exists()  # so that a worker that opens it fails too
    assert corpus["val_list"] in finished.opened
    assert str(finished.run.journal) in finished.opened
    test_list = [each for each in finished.opened if each.startswith(corpus["test_dir"])]
    assert test_list == []


def test_a_validation_list_that_is_the_test_list_is_refused_before_the_start(
    make_settings: Callable[..., SearchConfig], tmp_path: Path
) -> None:
    settings = make_settings()
    (tmp_path / "link.txt").symlink_to(settings.corpus.val_list)
    named = {"test_dir": settings.corpus.val_dir, "test_list": tmp_path / "link.txt"}
    corpus = settings.corpus.model_copy(update=named)
    same = settings.model_copy(update={"corpus": corpus})
    with pytest.raises(CorpusError, match=r"veri_val\.txt: must not be the test list too"):
        prepare_materials(job_of(same, tmp_path / "run"), build_shards)


def test_a_published_test_list_is_warned_of_everywhere(
    make_settings: Callable[..., SearchConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = make_settings()
    pairs = read_trial_list(settings.corpus.val_list, settings.corpus.val_dir)
    known = known_lists.KnownList(
        name="Small-O",
        num_pairs=len(pairs),
        num_targets=sum(pair.is_target for pair in pairs),
        num_speakers=4,
    )
    monkeypatch.setattr(known_lists, "KNOWN_LISTS", (known,))
    output = io.StringIO()
    job = job_of(settings, tmp_path / "run", output)
    facts = prepare_materials(job, build_shards).facts
    (warning,) = facts["warnings"]
    assert warning.startswith(f"the validation list is Small-O ({len(pairs)} pairs of 4 speakers)")
    job.view.close()
    assert f"warning: {warning}" in output.getvalue()
    with Journal(tmp_path / "journal.jsonl") as journal:
        note_corpus(facts, journal, ())
    assert run_remarks(RunView.read(tmp_path))[0] == f"warning: {warning}"


def test_a_validation_list_that_was_opened_as_a_test_list_is_warned_of(
    make_settings: Callable[..., SearchConfig], tiny_world: Path, tmp_path: Path
) -> None:
    settings = make_settings()
    pairs = read_trial_list(settings.corpus.val_list, settings.corpus.val_dir)
    copy = tmp_path / "copy.txt"
    opening = new_opening(
        model=Path("m.model"),
        model_sha256="ab",
        list_file=copy,
        list_sha256=content_sha256(pairs),
        num_pairs=len(pairs),
    )
    cache = tiny_world / "cache"
    ledger = OpeningLedger(copy, cache)
    try:
        ledger.record(opening)
        job = job_of(settings, tmp_path / "run")
        (warning,) = prepare_materials(job, build_shards).facts["warnings"]
    finally:
        ledger.files[-1].unlink()  # of a world that other tests share
    assert "was opened as a test list (1x by `veer evaluate --final`)" in warning


def test_an_ordinary_validation_list_needs_no_warning(
    make_settings: Callable[..., SearchConfig], tmp_path: Path
) -> None:
    job = job_of(make_settings(), tmp_path / "run")
    assert "warnings" not in prepare_materials(job, build_shards).facts
