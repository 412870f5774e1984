"""`veer teacher train`, `veer train` and `veer evaluate`, run as a user would."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.cli import app as cli
from search.cli.console import computing_device
from spaces.files.errors import VeerError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.tiny_models import SMALL_STUDENT, SMALL_TEACHER


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def corpus_file(make_corpus: Callable[..., Path], tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", num_val_speakers=3, num_utterances=3)


@pytest.fixture
def teacher(corpus_file: Path, tmp_path: Path) -> Path:
    write_yaml(tmp_path / "teacher.yaml", SMALL_TEACHER)
    out = tmp_path / "teacher"
    result = veer(
        "teacher", "train", tmp_path / "teacher.yaml", "--corpus", corpus_file, "--out", out
    )
    assert result.exit_code == 0, result.output
    return out


def test_a_teacher_is_trained_and_then_reused(
    corpus_file: Path, teacher: Path, tmp_path: Path
) -> None:
    assert (teacher / "result" / "scores.txt").read_text().count("\n") == 3
    assert (teacher / "result" / "threads.txt").read_text().endswith(":: Epoch 1, 1 threads\n")
    again = veer(
        "teacher", "train", tmp_path / "teacher.yaml", "--corpus", corpus_file, "--out", teacher
    )
    assert f"reusing {teacher}: it is already trained (2 epochs)" in again.output


def test_a_student_is_trained_further_and_evaluated(
    corpus_file: Path, teacher: Path, tmp_path: Path
) -> None:
    config = {"corpus": {}, "teacher": str(teacher), "trial": SMALL_STUDENT}
    config["targets"] = {"num_crops": 2}
    config["corpus"] = {
        "train_dir": "corpus/train",
        "train_list": "corpus/train_list.txt",
        "val_dir": "corpus/val",
        "val_list": "corpus/veri_val.txt",
    }
    write_yaml(tmp_path / "run.yaml", config)
    out = tmp_path / "student"
    first = veer("train", tmp_path / "run.yaml", "--out", out)
    assert "epoch   2" in first.output
    assert read_yaml(out / "config.yaml").data["targets"]["num_crops"] == 2
    further = veer("train", tmp_path / "run.yaml", "--out", out, "--epochs", 3)
    assert "continued from epoch 2" in further.output
    folder = corpus_file.parent
    scored = veer(
        "evaluate", out, "--pairs", folder / "veri_val.txt", "--root", folder / "val",
        "--eval-frames", 60,
    )  # fmt: skip
    assert scored.output.count("minDCF") == 2
    assert "p=0.05" in scored.output
    assert "voxceleb_trainer" in scored.output


def test_a_training_starts_from_a_model_file(
    corpus_file: Path, tmp_path: Path
) -> None:
    config = read_yaml(corpus_file).data
    corpus = {name: str(corpus_file.parent / value) for name, value in config.items()}
    trial = SMALL_STUDENT | {"loss": {"distillation": "none"}}
    write_yaml(tmp_path / "run.yaml", {"corpus": corpus, "trial": trial})
    veer("train", tmp_path / "run.yaml", "--out", tmp_path / "first", "--epochs", 1)
    again = ("--out", tmp_path / "second", "--epochs", 1, "--set", "init_from=first")
    shown = " ".join(veer("train", tmp_path / "run.yaml", *again).output.split())
    assert "epoch 1, with its classifier, sha256" in shown
    written = read_yaml(tmp_path / "second" / "config.yaml").data
    assert written["init_from"] == str(tmp_path / "first")
    (tmp_path / "journal.jsonl").touch()
    with pytest.raises(VeerError, match=r"--out must be .*, the run folder of a search"):
        veer("train", tmp_path / "run.yaml", "--out", tmp_path)
    with pytest.raises(VeerError, match=r"another one: model.hidden_dim 8, there 16; set these"):
        veer("train", tmp_path / "run.yaml", *again, "--set", "model.hidden_dim=8")


SMALL = (
    "model.hidden_dim=16", "model.num_blocks=1", "model.num_frames=40", "model.embedding_dim=24",
    "training.batch_size=8", "trial.training.crop_frames=40", "training.eval_frames=60",
)  # fmt: skip


def test_a_preset_is_trained_and_its_config_repeats_it(
    corpus_file: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [word for each in SMALL for word in ("--set", each)]
    corpus = corpus_file.relative_to(tmp_path)
    arguments = ("--corpus", corpus, "--teacher", "teacher", "--epochs", 1)
    first = veer("train", "--preset", "v1_mse", *arguments, *settings, "--seed", 3)
    assert "mlp_mixer: 18 utterances, 6 speakers" in first.output
    out = tmp_path / "runs" / "v1_mse"
    written = read_yaml(out / "config.yaml").data
    assert Path(written["teacher"]) == teacher / "model" / "model000000001.model"
    assert written["trial"]["loss"]["temperature"] == 4.0
    assert (written["trial"]["seed"], written["trial"]["model"]["hidden_dim"]) == (3, 16)
    (out / "config.yaml").rename(tmp_path / "again.yaml")
    further = veer("train", "again.yaml", "--out", out, "--set", "training.max_epochs=2")
    assert "continued from epoch 1" in further.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either CONFIG or --preset NAME .*, got neither"),
        (["run.yaml", "--preset", "v1_mse"], "got run.yaml and --preset v1_mse"),
        (["--preset", "v1_mse"], "--preset v1_mse needs --corpus"),
        (["run.yaml", "--teacher", "t"], "need --preset; run.yaml has its own"),
        (["--preset", "v1_mes", "--corpus", "c"], "got 'v1_mes'; did you mean 'v1_mse'"),
        (["--preset", "v1_mse", "--corpus", "c"], "v1_mse distils .* give --teacher"),
        (["--preset", "alpha_0", "--corpus", "c", "--set", "trial.loss.alpa=1"], "'alpha'"),
        (["--preset", "alpha_0", "--corpus", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_mistakes_in_naming_a_run_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(VeerError, match=message):
        veer("train", *arguments)


def test_a_teacher_that_needs_a_teacher_is_refused(corpus_file: Path) -> None:
    with pytest.raises(VeerError, match=r"command line: .* 'cosine' needs a teacher"):
        veer("teacher", "train", "v2_cosine", "--corpus", corpus_file)


def test_presets_are_listed_with_their_sizes() -> None:
    lines = [line.split() for line in veer("presets").output.splitlines()]
    rows = {words[0]: words[1:] for words in lines if words}
    assert rows["v1_mse"][:5] == ["2,667,392", "mse,", "T", "4", "0.5"]
    assert rows["p4b_autoencoder"][:5] == ["3,215,568", "cosine,", "beta", "0.2", "0.6"]
    assert rows["alpha_0"][:3] == ["2,667,392", "none", "-"]
    assert {"teacher", "temperature_8_kl"} <= rows.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "nowhere.yaml"], r"nowhere.yaml: cannot be read"),
        (["--device", "gpu"], "must be auto, cpu or cuda, got 'gpu'"),
        (["--set", "training.lrr=1"], "lrr.*'lr'"),
    ],
)
def test_mistakes_are_named(corpus_file: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(VeerError, match=message):
        veer("teacher", "train", "teacher_demo", "--corpus", corpus_file, *arguments)


def test_a_gpu_that_torch_was_built_without_is_named_where_auto_takes_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trainable.machine.gpus.why_not_built", lambda: "torch has no CUDA")
    monkeypatch.setattr("trainable.machine.hardware.why_unusable", lambda: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert computing_device("auto").type == computing_device("cpu").type == "cpu"
    assert capsys.readouterr().out.splitlines() == ["on the CPU: torch has no CUDA"]
    # One that is seen and cannot be used is refused before any work.
    monkeypatch.setattr("trainable.machine.hardware.why_unusable", lambda: "the driver is old")
    with pytest.raises(VeerError, match="device is auto, but the driver is old"):
        computing_device("auto")


def test_a_users_mistake_ends_with_status_2_and_no_stack_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = tmp_path / "none.model"
    monkeypatch.setattr(
        "sys.argv", ["veer", "evaluate", str(model), "--pairs", "p", "--root", "r"]
    )
    with pytest.raises(SystemExit) as stop:
        cli.run_app()
    assert stop.value.code == 2
    shown = capsys.readouterr().err
    assert "there is no such file or folder" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    "command",
    [
        "data", "teacher", "search", "trials", "show", "benchmark", "export", "presets", "train",
        "evaluate",
    ],
)  # fmt: skip
def test_every_command_explains_itself(command: str) -> None:
    result = veer(command, "--help")
    assert result.exit_code == 0
    usage, summary = result.output.split("\n\n")[:2]
    assert usage.startswith(f"Usage: veer {command} [OPTIONS]")
    assert summary.strip().endswith(".")
