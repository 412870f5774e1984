"""A student from the person's own file, through the commands and through a search."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from models import user_code
from models.user_code import allow_code, is_code_allowed
from results.benchmark import BenchmarkConfig, benchmark_run
from results.export import export_trial
from results.history import ranked, trial_histories
from results.run_folder import RunFolder
from search.cli import app as cli
from search.own_models import check_own_models
from search.progress import SearchView
from search.run import run_search
from spaces.errors import ConfigError, VeerError
from spaces.yaml_file import read_yaml, write_yaml
from trainable.checkpoint import load_speaker_model
from trainable.config import read_train_config
from trainable.corpus import read_corpus_config
from trainable.presets import read_trial_space
from trainable.trial import TrialTask, build_trainer

# Every import leaves a line in the file that {trace} names.
NET = """
import torch
from models import ModelOutput, SpeakerModel

with open({trace!r}, "a") as out:
    out.write("imported\\n")

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim, width=8):
        if width > 16:
            raise ValueError(f"width must be at most 16, got {{width}}")
        super().__init__()
        self.embedding_dim = embedding_dim
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF, *, with_stages):
        x_BTC = torch.relu(self.up(norm_BTF))
        stages = (x_BTC,) if with_stages else ()
        return ModelOutput(self.embedding(x_BTC.mean(1)), stages, None)
"""
MODEL = {"family": "mine.net:Net", "embedding_dim": 32, "width": 12}
TRIAL = {
    "model": MODEL,
    "loss": {"stages": "cosine"},
    "training": {"batch_size": 8, "crop_frames": 40, "max_epochs": 2, "eval_frames": 60},
}
REFUSED = r"mine.net:Net.* runs code of its own: give --allow-code if you trust it"


@dataclass(frozen=True, slots=True)
class Person:
    """Where a person works; nothing is allowed until a command is given --allow-code."""

    folder: Path
    trace: Path
    forget: Callable[[], None]

    @property
    def num_imports(self) -> int:
        """How often their module was run."""
        return len(self.trace.read_text().splitlines()) if self.trace.exists() else 0


@pytest.fixture
def person(
    own_code: Callable[..., Path],
    tmp_path: Path,
    tiny_world: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Person:
    trace = tmp_path / "trace"
    folder = own_code("mine.net", NET.format(trace=str(trace)), allowed=False)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VEER_CACHE", str(tiny_world / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def forget() -> None:
        """Be another process: no permission, nothing imported."""
        user_code._roots.clear()
        sys.path[:] = [place for place in sys.path if place != str(folder.resolve())]
        for name in ("mine", "mine.net"):
            sys.modules.pop(name, None)

    return Person(folder, trace, forget)


def veer(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if isinstance(result.exception, VeerError):
        raise result.exception
    return result


@pytest.fixture
def run_file(person: Person, tiny_world: Path) -> Path:
    corpus = read_corpus_config(tiny_world / "corpus" / "corpus.yaml").model_dump(mode="json")
    config = {"corpus": corpus, "teacher": str(tiny_world / "teacher"), "trial": TRIAL}
    write_yaml(person.folder / "run.yaml", config)
    return person.folder / "run.yaml"


def test_a_student_of_ones_own_is_trained_continued_and_evaluated(
    person: Person, run_file: Path, tiny_world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "student"
    with pytest.raises(ConfigError, match=REFUSED):
        veer("train", run_file, "--out", out)
    assert not out.exists()
    assert person.num_imports == 0

    trained = veer("train", run_file, "--out", out, "--allow-code")
    assert trained.exit_code == 0, trained.output
    assert "mine.net:Net" in trained.output
    assert "epoch   2" in trained.output
    further = veer("train", run_file, "--out", out, "--epochs", 3, "--allow-code")
    assert "went on from epoch 2" in further.output
    assert person.num_imports == 1

    person.forget()
    lists = tiny_world / "corpus"
    scoring = ("evaluate", out, "--pairs", lists / "veri_val.txt", "--root", lists / "val")
    with pytest.raises(ConfigError, match=REFUSED):
        veer(*scoring)
    assert person.num_imports == 1
    scored = veer(*scoring, "--eval-frames", 60, "--allow-code")
    assert scored.output.count("minDCF") == 2


def test_a_teacher_of_ones_own_needs_permission_before_anything_is_read(
    person: Person, tiny_world: Path, tmp_path: Path
) -> None:
    corpus, out = tiny_world / "corpus" / "corpus.yaml", tmp_path / "teacher"
    write_yaml(tmp_path / "teacher.yaml", TRIAL | {"loss": {"distillation": "none"}})
    training = ("teacher", "train", tmp_path / "teacher.yaml", "--corpus", corpus, "--out", out)
    with pytest.raises(ConfigError, match=REFUSED):
        veer(*training)
    assert veer(*training, "--allow-code").exit_code == 0

    person.forget()
    trial = TRIAL | {"model": {"family": "lstm_autoencoder", "embedding_dim": 32}}
    where = read_corpus_config(corpus).model_dump(mode="json")
    write_yaml(tmp_path / "run.yaml", {"corpus": where, "teacher": str(out), "trial": trial})
    with pytest.raises(ConfigError, match=rf"teacher .*model000000002.model .*{REFUSED}"):
        veer("train", tmp_path / "run.yaml", "--out", tmp_path / "student")
    assert not (tmp_path / "student").exists()
    assert person.num_imports == 1


def test_a_model_file_is_not_loaded_without_permission(
    person: Person, run_file: Path, tmp_path: Path
) -> None:
    assert veer("train", run_file, "--out", tmp_path / "out", "--allow-code").exit_code == 0
    person.forget()
    sys.path.append(str(person.folder))  # so that Python would find it
    before = person.num_imports
    with pytest.raises(ConfigError, match=REFUSED):
        load_speaker_model(tmp_path / "out")
    assert person.num_imports == before
    allow_code(person.folder)
    assert load_speaker_model(tmp_path / "out").model.embedding_dim == 32
    assert person.num_imports == before + 1


@pytest.mark.usefixtures("person")
def test_a_reconstruction_that_the_model_does_not_give_is_refused(
    run_file: Path, tmp_path: Path
) -> None:
    beta = ("--set", "trial.loss.beta=0.1")
    with pytest.raises(VeerError, match=r"loss.beta needs a model that rebuilds.* beta=0.1 .*Net"):
        veer("train", run_file, "--out", tmp_path / "out", "--allow-code", *beta)


def test_a_worker_is_allowed_by_its_task_alone(
    person: Person, tiny_world: Path, tmp_path: Path
) -> None:
    task = TrialTask(
        trial=0,
        config=TRIAL | {"loss": {"distillation": "none"}},
        folder=tmp_path / "trial",
        corpus=read_corpus_config(tiny_world / "corpus" / "corpus.yaml"),
        cache_dir=tiny_world / "cache",
        teacher=None,
        device="cpu",
        num_threads=1,
        num_gpus=0,
    )
    with pytest.raises(ConfigError, match=REFUSED):
        build_trainer(task)
    assert not is_code_allowed()
    allowed = task.model_copy(update={"code_root": person.folder})
    trainer = build_trainer(TrialTask.model_validate(allowed.model_dump(mode="json")))
    # Two linear layers.
    assert trainer.num_params == (80 + 1) * 12 + (12 + 1) * 32


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"width": {"choices": [8, 16, 32]}}, r"ValueError: .* got 32 \(with model.width 32\)$"),
        ({"width": {"low": 8, "high": 17}}, r"ValueError: .* got 17 \(with model.width 17\)$"),
        ({"widht": {"low": 8, "high": 9}}, r"model.widht: unknown key; did you mean 'width'\?"),
        (
            {
                "family": {"choices": ["mlp_mixer", "mine.net:Nett"]},
                "width": {"low": 8, "high": 9, "when": {"model.family": "mine.net:Nett"}},
            },
            r"no class 'Nett'; did you mean 'Net'\? \(with model.width 8\)$",
        ),
    ],
)
def test_a_search_tries_every_end_of_the_space_before_its_first_trial(
    person: Person,
    make_settings: Callable[..., Any],
    tmp_path: Path,
    model: dict[str, Any],
    message: str,
) -> None:
    trial = {"model": MODEL | {"width": 12} | model, "training": {"crop_frames": 200}}
    write_yaml(tmp_path / "space.yaml", trial | {"seed": {"low": 0, "high": 1}})
    settings = make_settings(space=tmp_path / "space.yaml")
    with pytest.raises(ConfigError, match=rf"^space space .*{REFUSED}$".replace("Net", "Nett?")):
        run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    assert not (tmp_path / "run").exists()
    assert person.num_imports == 0
    allow_code(person.folder)
    with pytest.raises(ConfigError, match=message):
        run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("person")
def test_a_search_of_bundled_families_needs_no_permission(
    make_settings: Callable[..., Any],
) -> None:
    settings = make_settings()
    check_own_models(settings, read_trial_space(settings.space))
    assert not is_code_allowed()


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_here")
def test_a_search_over_a_student_of_ones_own_ends_in_an_export_that_loads(
    person: Person, make_settings: Callable[..., Any], tmp_path: Path
) -> None:
    space = TRIAL | {"model": MODEL | {"width": {"choices": [8, 16]}}}
    write_yaml(tmp_path / "space.yaml", space)
    settings = make_settings(space=tmp_path / "space.yaml", num_trials=2)
    allow_code(person.folder)
    run_search(settings, tmp_path / "run", SearchView(Console(quiet=True)))
    run = RunFolder(tmp_path / "run")
    histories = trial_histories(run.read())
    assert [h.state in ("complete", "stopped_early") for h in histories] == [True, True]
    for history in histories:
        width = history.started["params"]["model.width"]
        assert history.epochs[1]["num_params"] == (80 + 1) * width + (width + 1) * 32
        assert history.epochs[1]["distill_share"] > 0
    config = BenchmarkConfig(batch_sizes=(1,), num_threads=(1,), rounds=1, warmup_rounds=0)
    student = benchmark_run(run, 1, config)[1]
    width = ranked(histories)[0].started["params"]["model.width"]
    # Of a 2-s utterance: 200 frames through the first layer, one vector through the second.
    assert student.macs == 200 * 80 * width + width * 32

    folder = export_trial(run).folder
    text = (folder / "config.yaml").read_text()
    assert text.startswith("# model.family is a class in a file of your own: give --allow-code")
    card = (folder / "README.md").read_text()
    assert "`veer train config.yaml --out FOLDER --allow-code`" in card
    assert read_train_config(folder / "config.yaml").trial.model.family == "mine.net:Net"
    assert read_yaml(folder / "config.yaml").data["trial"]["model"]["width"] == width
    person.forget()
    embedding = run_card(card, folder)
    assert embedding.shape == (2, 32)
    assert load_file(folder / "weights.safetensors")["up.weight"].shape == (width, 80)
    person.forget()
    for command in ("export", "benchmark"):
        with pytest.raises(ConfigError, match=REFUSED):
            veer(command, run.path)
    again = veer("export", run.path, "--allow-code")
    assert "config.yaml --allow-code" in again.output


def run_card(card: str, folder: Path) -> torch.Tensor:
    """What the card's own code gives for two seconds of noise."""
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace('Path(".")', f"Path({str(folder)!r})")
    names: dict[str, Any] = {"wave": 0.1 * torch.randn(2, 16_000)}
    exec(code, names)  # our own card
    return names["embedding"]
