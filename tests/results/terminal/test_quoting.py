"""Printed commands run as meant when copied into a shell."""

import subprocess
from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from results.export.export import Export
from results.journal.run_folder import RunFolder
from results.terminal.quoting import veer_command
from search.cli import outcome
from search.cli.options import training_command
from search.run import run_search
from search.run.run_search import SearchResult
from trainable.config.trial_config import TrainRunConfig

HOSTILE = (
    "runs/first",
    "two words",
    "a;touch injected",
    "$(touch injected)",
    "`touch injected`",
    "it's",
    'a"b\\c',
    "a\nb",
    "\x1b[31mred\x1b7",
    "left\u202eright",
    "é ü 中",
    "*",
    "~",
    "",
)


def words_of(command: str, folder: Path) -> list[str]:
    """The words that a shell hands to the command."""
    script = f"veer() {{ printf '%s\\0' \"$@\"; }}; {command}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_shell_reads_each_word_as_it_was_given(name: str, tmp_path: Path) -> None:
    command = veer_command("resume", name, "--teacher", Path(name))
    assert words_of(command, tmp_path) == ["resume", name, "--teacher", str(Path(name))]
    assert list(tmp_path.iterdir()) == []
    assert command.isprintable()


def test_a_path_that_looks_like_an_option_is_quoted_as_a_path(tmp_path: Path) -> None:
    command = veer_command("resume", Path("--allow-code"), "--trials", "3")
    assert words_of(command, tmp_path) == ["resume", "./--allow-code", "--trials", "3"]


def test_plain_names_are_not_quoted() -> None:
    assert veer_command("resume", Path("/runs/first_2")) == "veer resume /runs/first_2"


def test_the_training_command_of_an_export_runs(tmp_path: Path) -> None:
    corpus = dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), "x")
    config = TrainRunConfig.model_validate({"corpus": corpus, "trial": {}, "teacher": "t"})
    exported = Export(trial=1, folder=Path("my runs;touch injected"), config=config)
    words = words_of(training_command(exported), tmp_path)
    assert words == ["train", "my runs;touch injected/config.yaml"]


def test_an_interrupted_search_prints_a_resume_command_that_runs(
    journal_run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = journal_run.path.rename(tmp_path / ("[red]my runs; touch injected " + "x" * 160))
    result = SearchResult(run=RunView.read(folder), reason="time_limit")
    monkeypatch.setattr(run_search, "run_search", lambda *_, **__: result)
    outcome.run_and_print(None, folder)  # type: ignore[arg-type]
    command = next(
        line.partition("continue with: ")[2]
        for line in capsys.readouterr().out.splitlines()
        if "continue with: " in line
    )
    assert words_of(command, tmp_path) == ["resume", str(folder)]
