"""Nothing that comes from a file is run: what the sources may not call, and attacks that fail.

Ruff's rules S (pyproject.toml) forbid most of the calls; here are those that it does not know.
"""

import ast
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.records.trial_records import EpochEnded, TrialStarted
from results.trackers.study import write_study
from search.cli import app as cli
from spaces.dimensions import Float
from spaces.files.errors import CheckpointError, ConfigError, TrainingError, VeerError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from trainable.audio.reading import AudioError, load_wave
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_classifier, load_speaker_model
from trainable.checkpoints.model_file import read_checkpoint
from trainable.teachers.any_teacher import find_teacher
from trainable.teachers.embedding_file import read_embeddings

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "spaces", "trainable", "results", "search")
FILES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
BUILT_IN = {"exec", "eval", "compile", "__import__"}
# Calls that run, or may run, what they are given, and archives; by the end of their name.
RUNS = {
    "import_module", "spec_from_file_location", "exec_module", "load_module", "run_path",
    "run_module", "popen", "execv", "execve", "spawnv", "Unpickler", "read_pickle", "unsafe_load",
    "full_load", "extractall", "unpack_archive", "ZipFile", "TarFile",
}  # fmt: skip
# Of these modules the calls that read what may hold code.
READS = {
    "pickle": {"load", "loads"},
    "cloudpickle": {"load", "loads"},
    "marshal": {"load", "loads"},
    "dill": {"load", "loads"},
    "joblib": {"load"},
    "shelve": {"open"},
    "yaml": {"load", "load_all", "unsafe_load", "full_load"},
    "np": {"load"},
    "numpy": {"load"},
    "tarfile": {"open"},
    "os": {"system"},
}
ALLOWED = {
    ("models/user_class.py", "importlib.import_module"): "only with --allow-code",
    ("trainable/foreign_models/plugin_worker.py", "importlib.import_module"): "only with "
    "--allow-code",
    ("search/ray_tune/recorder.py", "cloudpickle.loads"): "what this search's own workers raised, "
    "from a file that this process wrote in a folder of its own",
    ("search/cluster/store_build.py", "pickle.loads"): "what this build's own workers return "
    "through Ray",
    ("search/cluster/store_worker.py", "pickle.loads"): "what the building process sent through "
    "Ray",
}


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """(dotted name, call) of every call in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> Any:
    """A keyword's constant value, None without it."""
    found = [each.value for each in call.keywords if each.arg == name]
    return ast.literal_eval(found[0]) if found and isinstance(found[0], ast.Constant) else None


def forbidden(file: Path) -> Iterator[str]:
    """The calls of a file that no reason allows."""
    place = file.relative_to(ROOT).as_posix()
    for name, call in calls(file):
        module, _, last = name.rpartition(".")
        is_bad = (
            name in BUILT_IN
            or last in RUNS
            or (last in READS.get(module, ()) and keyword(call, "allow_pickle") is not False)
            or (name == "torch.load" and keyword(call, "weights_only") is not True)
            or keyword(call, "shell") is True
            or keyword(call, "allow_pickle") is True
        )
        if is_bad and (place, name) not in ALLOWED:
            yield f"{place}:{call.lineno}: {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_source_runs_what_it_reads(file: Path) -> None:
    assert list(forbidden(file)) == []


def test_the_look_out_sees_what_is_forbidden(tmp_path: Path, monkeypatch: Any) -> None:
    lines = ("torch.load(f)", "pickle.load(f)", "yaml.load(t)", "run(x, shell=True)", "eval(x)",
             "np.load(f)", "importlib.import_module(n)", "zipfile.ZipFile(f)")  # fmt: skip
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("\n".join(lines))
    assert len(list(forbidden(tmp_path / "a.py"))) == len(lines)


class Attack:
    """Unpickled, it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that an attack would write; it must not be there in the end."""
    yield tmp_path / "HACKED"
    assert not (tmp_path / "HACKED").exists()


def test_the_attack_works_where_it_is_let(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Attack(tmp_path / "there")))
    assert (tmp_path / "there").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_holds_code_is_refused(
    marker: Path, tmp_path: Path, zipped: bool
) -> None:
    file = CheckpointFolder(tmp_path / "run").file_of(1)
    file.parent.mkdir(parents=True)
    veer_part = {"history": Attack(marker)}
    state = {"model_state_dict": {}, "epoch": 1, "veer": veer_part}
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    for read in (read_checkpoint, load_speaker_model, load_classifier):
        with pytest.raises(CheckpointError, match=r"000000001\.model: not a readable model"):
            read(file)
    with pytest.raises(CheckpointError, match=r"000000001\.model"):
        load_speaker_model(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"000000001\.model"):
        veer("evaluate", tmp_path / "run", "--pairs", "x", "--root", "y")


def test_arrays_of_objects_are_no_teacher_and_no_sound(marker: Path, tmp_path: Path) -> None:
    file = tmp_path / "teacher.parquet"
    with file.open("wb") as out:
        np.save(out, np.array([Attack(marker)], dtype=object), allow_pickle=True)
    with pytest.raises(TrainingError, match=r"teacher\.parquet"):
        read_embeddings(file, ["a.wav"])
    with pytest.raises(CheckpointError, match=r"teacher\.npy"):
        read_checkpoint(file.rename(tmp_path / "teacher.npy"))
    with pytest.raises(AudioError, match=r"teacher\.npy"):
        load_wave(tmp_path / "teacher.npy")


def test_what_is_planted_in_a_run_folder_is_not_read(marker: Path, tmp_path: Path) -> None:
    run, code = tmp_path / "run", pickle.dumps(Attack(marker))
    with Journal(run / "journal.jsonl") as journal:
        journal.append(
            TrialStarted(
                trial=0,
                params={"loss.alpha": 0.7},
                config={"loss": {"distillation": "none"}},
                config_hash="ab",
                seed=0,
            )
        )
        journal.append(EpochEnded(trial=0, epoch=1, veer_pct=4.0))
    planted = ("searcher-state.pkl", "tuner.pkl", "trainable.pkl", "optuna-journal.log")
    for name in (*planted, "trials.parquet", "epochs.parquet", "benchmark.json"):
        (run / name).write_bytes(code)
    assert "4.00" in veer("trials", run).output
    assert (run / "trials.parquet").read_bytes()[:4] == b"PAR1"
    assert "4.00" in veer("show", run, 0).output
    # The study is written again at a search's end, beside whatever lies there.
    dimensions = (Float(name="loss.alpha", low=0.0, high=1.0),)
    write_study(RunView.read(run), dimensions)
    assert b"touch" not in (run / "optuna-journal.log").read_bytes()


@pytest.mark.parametrize("command", ["train", "teacher"])
def test_a_config_that_names_a_class_needs_permission(
    own_code: Callable[..., Path], marker: Path, tmp_path: Path, command: str
) -> None:
    own_code("theirs", f"open({str(marker)!r}, 'w')", allowed=False)
    trial = {"model": {"family": "theirs:Net"}, "loss": {"distillation": "none"}}
    places = dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), "x")
    if command == "train":
        write_yaml(tmp_path / "it.yaml", {"corpus": places, "trial": trial})
        arguments: tuple[object, ...] = ("train", tmp_path / "it.yaml")
    else:
        write_yaml(tmp_path / "it.yaml", trial)
        arguments = ("teacher", "train", tmp_path / "it.yaml", "--corpus", tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="give --allow-code if you trust it"):
        veer(*arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["allow_code", "allow-code", "code"])
def test_no_file_gives_the_permission(tmp_path: Path, name: str) -> None:
    write_yaml(tmp_path / "it.yaml", {"space": "mixer", name: True})
    with pytest.raises(ConfigError, match=rf"it\.yaml:2: {name}: unknown key"):
        veer("search", tmp_path / "it.yaml", "--run", tmp_path / "run")


def test_a_plug_in_needs_permission_before_its_file_is_read(marker: Path, tmp_path: Path) -> None:
    text = f"trainer: !!python/object/apply:os.system ['touch {marker}']\n"
    (tmp_path / "plugin.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"plugin\.yaml runs code of its own"):
        find_teacher(tmp_path / "plugin.yaml")
    with pytest.raises(ConfigError, match=r"plugin\.yaml:1: cannot read"):
        read_yaml(tmp_path / "plugin.yaml")


def test_the_user_sees_a_sentence_and_no_stack_trace(
    marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    file = tmp_path / "evil.model"
    torch.save({"model_state_dict": {}, "epoch": 1, "veer": Attack(marker)}, file)
    arguments = ["veer", "evaluate", str(file), "--pairs", "x", "--root", "y"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit, match="2"):
        cli.run_app()
    assert "Traceback" not in capsys.readouterr().err
    assert issubclass(CheckpointError, VeerError)
