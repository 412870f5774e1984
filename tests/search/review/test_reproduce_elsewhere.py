"""Corpus and teacher lie at another path than the one in the journal."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from search.cli.app import app
from search.config.search_config import SearchConfig
from search.review.recorded_trial import recorded_trial
from spaces.files.errors import RunError
from tests.search.journal_rewriting import editable_records, rewrite_journal
from trainable.checkpoints.folder import resolve_model_file
from trainable.corpus.corpus import read_corpus_config


@pytest.fixture
def moved(run: RunFolder, settings: SearchConfig, tmp_path: Path) -> dict[str, Path]:
    """Corpus and teacher at another path than the one in the journal, where nothing is left."""
    place = tmp_path / "elsewhere"
    shutil.copytree(settings.corpus.train_list.parent, place / "corpus")
    shutil.copy(resolve_model_file(settings.teacher), place / "teacher.model")
    text = (place / "corpus" / "corpus.yaml").read_text()
    (place / "corpus" / "corpus.yaml").write_text(
        text.replace(str(settings.corpus.train_list.parent), str(place / "corpus"))
    )
    records = editable_records(run)
    for record in records:
        if record["event"] == "search_started":
            corpus = record["settings"]["corpus"]
            corpus |= {
                name: f"/gone/{name}" for name, value in corpus.items()
                if name.endswith(("_dir", "_list")) and value
            }  # fmt: skip
        if record["event"] == "teacher":
            record["path"] = "/gone/teacher.model"
    rewrite_journal(run, records)
    return {"corpus": place / "corpus" / "corpus.yaml", "teacher": place / "teacher.model"}


def test_a_trial_is_reproduced_from_corpus_and_teacher_at_another_path(run, moved, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    command = ["reproduce", str(run.path), "0", "--epochs", "2"]
    options = [f"--{name}={path}" for name, path in moved.items()]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1] == "reproduced bit for bit: 2 epochs"
    named = [line for line in lines if line.startswith("different conditions: ")]
    assert [line.split("'")[1] for line in named] == ["train", "val"]
    for left_out in (options[:1], options[1:]):
        assert CliRunner().invoke(app, [*command, *left_out]).exit_code != 0


def test_another_corpus_or_teacher_at_another_path_is_refused(run, moved):
    view, corpus = RunView.read(run), read_corpus_config(moved["corpus"])
    other = corpus.model_copy(update={"min_duration_s": 0.25})
    with pytest.raises(RunError, match=r"its min_duration_s was 0.5, now 0.25; restore"):
        recorded_trial(view, 0, corpus=other, teacher=moved["teacher"])
    tested = corpus.model_copy(update={"test_dir": Path("t"), "test_list": Path("t/list")})
    assert recorded_trial(view, 0, corpus=tested, teacher=moved["teacher"]).corpus == tested
    plugin = moved["teacher"].with_name("plugin.yaml")
    plugin.write_text("callable: own:teacher\n")
    with pytest.raises(RunError, match=r"must be the embeddings .*: they are kept in /gone/"):
        recorded_trial(view, 0, corpus=tested, teacher=plugin)
    with pytest.raises(RunError, match="or give its path with --teacher"):
        recorded_trial(view, 0, corpus=corpus)
    with moved["teacher"].open("ab") as file:
        file.write(b"more")
    with pytest.raises(RunError, match="is not the teacher that this run began with"):
        recorded_trial(view, 0, corpus=corpus, teacher=moved["teacher"])
    corpus.train_list.write_text(corpus.train_list.read_text() + "\n")
    with pytest.raises(RunError, match="is not the train list that this run began with"):
        recorded_trial(view, 0, corpus=corpus, teacher=moved["teacher"])
