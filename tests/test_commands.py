"""Every command of `veer`: where it cannot write, and on any terminal."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer

from models import LSTMAutoencoderConfig
from results.analysis.run_view import RunView
from search.cli import app as cli
from search.cli import outcome
from search.run.ending import SearchResult
from spaces.files.errors import VeerError
from spaces.files.yaml_file import write_yaml
from tests.search.commands import veer
from tests.worlds.displays import SCREENS
from tests.worlds.made_up_run import write_made_up_run
from tests.worlds.read_only import read_only
from tests.worlds.tiny_models import SMALL_STUDENT, SMALL_TEACHER
from tests.worlds.tiny_world import build_tiny_world, small_search
from tests.worlds.trained_run import train_both, write_full_training, write_trained_run
from tests.worlds.untrained_models import untrained_model
from trainable.corpus.corpus import read_corpus_config, read_trial_list

ROOT = Path(__file__).parents[1]
# A target that each command writes to: a path in a folder that is read-only, LOCKED. HERE is a
# folder with what the commands read.
WRITES = {
    "search": "HERE/search.yaml --run LOCKED/run",
    "resume": "LOCKED/search/trained",
    "trials": "LOCKED/search/trained --format csv --out LOCKED/trials.csv",
    "report": "LOCKED/search/trained",
    "benchmark": "LOCKED/search/trained --rounds 1 --top 1",
    "export": "LOCKED/search/trained",
    "convert": "LOCKED/teacher --form torchscript",
    "embed": "HERE/list.txt --model HERE/teacher --out LOCKED/embeddings.npy",
    "enroll": "ada HERE/a.wav --model HERE/teacher --store LOCKED/enrolled.json",
    "calibrate": "LOCKED/teacher --pairs LOCKED/corpus/veri_val.txt --root LOCKED/corpus/val",
    "import": "HERE/theirs.pt --family lstm_autoencoder --out LOCKED/a.model",
    "reproduce": "LOCKED/search/trained 0 --out LOCKED/again",
    "train": "HERE/run.yaml --out LOCKED/run",
    "teacher train": "HERE/teacher.yaml --corpus HERE/corpus/corpus.yaml --out LOCKED/run",
    "teacher convert": "HERE/vectors.npz --out LOCKED/embeddings.parquet",
    "data demo": "LOCKED/demo",
    "data prepare": "HERE/corpus/train --layout voxceleb --val-speakers 2 --out LOCKED/lists",
    "data convert": "HERE/corpus/veri_val.txt --as trial --out LOCKED/new.txt",
    "data build": "HERE/corpus/corpus.yaml",
    "data prune": "--yes --older-than-days 0",
}
# A cache that is complete, as `cache` is, needs no write to be used.
CACHE = {"data build": "new-cache", "data prune": "cache"}
# Those that keep something on the way, and do without it where they cannot.
READS = {
    "trials": "LOCKED/search/trained",
    "show": "LOCKED/search/trained 0",
    "compare": "LOCKED/search/trained LOCKED/search/trained",
    "audit": "LOCKED/made-up",
    "gap": "LOCKED/search/trained LOCKED/full",
    "evaluate": "LOCKED/teacher --pairs LOCKED/corpus/veri_val.txt --root LOCKED/corpus/val",
    "verify": "LOCKED/a.wav LOCKED/a.wav --model LOCKED/search/trained",
    "score": "LOCKED/corpus/veri_val.txt LOCKED/scores.txt",
    "teacher show": "LOCKED/teacher",
    "presets": "",
    "data check": "LOCKED/corpus/corpus.yaml",
    "data info": "",
    "space list": "",
    "space check": "LOCKED/space.yaml --samples 2",
}
# They read from a folder that is read-only, and write to another one.
ELSEWHERE_WRITES = {
    "export": "LOCKED/search/trained --out TMP/exported",
    "trials": "LOCKED/search/trained --format csv --out TMP/trials.csv",
}
# They run until Ctrl-C, start and end processes, ask a cluster, or need a run of many trials or
# lists of other speakers: tests of their own.
ELSEWHERE = {"dashboard", "simulate", "fuse", "cluster head", "cluster join", "cluster token",
             "cluster stop", "submit", "status", "stop"}  # fmt: skip

# They build models or a page: on three screens, elsewhere only their help.
SLOW = {"evaluate", "verify", "presets", "space check", "report"}
SLOW_SCREENS = {"terminal", "narrow terminal", "ascii pipe"}
REFUSED = [each for each in WRITES.items() if each[0] not in CACHE]
HELP = sorted(ELSEWHERE | CACHE.keys())
COMMANDS = [*REFUSED, *READS.items(), *((name, "--help") for name in HELP)]


def commands(group: Any, *names: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a teacher, a space, settings, and a run."""
    folder = build_tiny_world(tmp_path_factory.mktemp("here"))
    both = train_both(tmp_path_factory.mktemp("trained"))
    write_trained_run(folder / "search", both)
    write_full_training(folder / "full", both, folder / "search")
    write_made_up_run(folder / "made-up", num_trials=4)
    write_yaml(folder / "teacher.yaml", SMALL_TEACHER)
    torch.save(untrained_model(LSTMAutoencoderConfig()).state_dict(), folder / "theirs.pt")
    np.savez(folder / "vectors.npz", **{"a.wav": np.ones(4)})
    corpus = read_corpus_config(folder / "corpus" / "corpus.yaml").model_dump(mode="json")
    pairs = read_trial_list(folder / "corpus" / "veri_val.txt", folder / "corpus" / "val")
    scores = (f"{number} {pair.path_a} {pair.path_b}\n" for number, pair in enumerate(pairs))
    (folder / "scores.txt").write_text("".join(scores))
    (folder / "a.wav").symlink_to(folder / "corpus" / "val" / pairs[0].path_a)
    (folder / "list.txt").write_text(f"{folder / 'a.wav'}\n")
    trial = SMALL_STUDENT | {"loss": {"distillation": "none"}}
    write_yaml(folder / "run.yaml", {"corpus": corpus, "trial": trial})
    write_yaml(folder / "search.yaml", small_search(folder))
    return folder


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def locked(here: Path) -> Iterator[Path]:
    with read_only(here):
        yield here


def words_of(command: str, arguments: str, here: Path) -> list[str]:
    filled = arguments.replace("LOCKED", str(here)).replace("HERE", str(here))
    return [*command.split(), *filled.split()]


def test_every_command_is_walked() -> None:
    every = set(commands(typer.main.get_command(cli.app)))
    assert every == WRITES.keys() | READS.keys() | ELSEWHERE


@pytest.mark.parametrize("command", WRITES)
def test_a_target_that_cannot_be_written_is_one_line_with_the_remedy(
    command: str, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command in CACHE:
        monkeypatch.setenv("VEER_CACHE", str(locked / CACHE[command]))
    with pytest.raises(VeerError) as refused:
        veer(*words_of(command, WRITES[command], locked))
    text = str(refused.value)
    assert text.startswith(str(locked))
    assert "Read-only file system" in text
    assert "; " in text
    assert "\n" not in text


@pytest.mark.parametrize("command", READS)
def test_what_only_reads_needs_no_folder_to_write_to(command: str, locked: Path) -> None:
    result = veer(*words_of(command, READS[command], locked))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ELSEWHERE_WRITES)
def test_a_run_that_is_read_only_can_be_written_elsewhere(
    command: str, locked: Path, tmp_path: Path
) -> None:
    words = ELSEWHERE_WRITES[command].replace("TMP", str(tmp_path))
    result = veer(*words_of(command, words, locked))
    assert result.exit_code == 0, result.output


def test_a_complete_cache_that_is_read_only_is_reused(
    locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(locked / "cache"))
    words = words_of("data build", WRITES["data build"], locked)
    assert "are ready" in veer(*words).output


def commands_on(screen: str) -> list[tuple[str, str]]:
    if screen in SLOW_SCREENS:
        return COMMANDS
    return [(name, "--help" if name in SLOW else words) for name, words in COMMANDS]


@pytest.fixture(scope="module")
def screens(here: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What all commands show and end with, by the kind of the screen."""
    given = {
        screen: [words_of(*each, here) for each in commands_on(screen)] for screen in SCREENS
    }
    cache = {"VEER_CACHE": str(tmp_path_factory.mktemp("cache")), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.worlds.displays", str(here)],
        input=json.dumps(given), capture_output=True, text=True, check=False,
        cwd=ROOT, env=os.environ | cache | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_what_programs_read_is_not_lost_in_a_closed_output(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with open(os.devnull, "w", encoding="utf-8") as closed:  # noqa: PTH123 - as the entry does
        monkeypatch.setattr(sys, "stdout", closed)
        for words in (f"trials {here}/search/trained --format csv", "cluster token --show"):
            with pytest.raises(VeerError, match="standard output is closed, and would lose what"):
                cli.app(words.split(), standalone_mode=False)


@pytest.mark.slow
@pytest.mark.parametrize("screen", SCREENS)
def test_no_command_ends_with_a_traceback(screen: str, screens: dict[str, Any]) -> None:
    found = screens[screen]
    tried = [" ".join(each) for each in commands_on(screen)]
    ends = dict(zip(tried, found["ends"], strict=True))
    refused = {" ".join(each) for each in REFUSED}
    wanted = {each: "2" if each in refused else "0" for each in tried}
    assert ends == wanted
    assert "Traceback" not in found["text"]


def test_a_best_trial_is_exported_before_anything_is_printed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunView.read(here / "search" / "trained")
    monkeypatch.setattr("results.terminal.trials.trials_view", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outcome._print_result(SearchResult(run=run, reason="exhausted"))
    assert (run.folder.path / "export" / "trial-0000" / "config.yaml").is_file()


@pytest.mark.slow
def test_text_that_a_screen_cannot_show_falls_back(screens: dict[str, Any]) -> None:
    shown = {screen: found["text"] for screen, found in screens.items()}
    assert shown["ascii pipe"].isascii()
    assert "\ufffd" not in shown["pipe"]
    assert "\x1b[" in shown["terminal"]
    # Bold is no colour.
    assert "\x1b[31m" not in shown["terminal without colour"]
    assert "\x1b[" not in shown["pipe"]
    assert "Where it ran" in shown["pipe"]
    assert "Where it ran" not in shown["closed"]
