"""An export stands by itself."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models import build_model
from results.analysis.run_view import RunView
from results.export.benchmark import BenchmarkConfig, benchmark_run
from results.export.card import _weights
from results.export.export import export_trial
from results.journal.history import latest
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted, TeacherRecord
from results.records.trial_records import TrialStarted
from spaces.files.digest import file_sha256
from spaces.files.errors import RunError
from spaces.files.yaml_file import read_yaml
from tests.full_disk import run_case
from tests.worlds.trained_run import Trained
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrainingConfig, read_train_config
from trainable.machine.engine import EngineConfig


def test_the_config_trains_in_full_from_only_the_file(trained_run: RunFolder) -> None:
    exported = export_trial(RunView.read(trained_run), epochs=7)
    assert exported.trial == 0
    assert exported.folder == trained_run.path / "export" / "trial-0000"
    config = read_train_config(exported.folder / "config.yaml")
    assert config == exported.config
    trained = load_speaker_model(trained_run.trial(0)).config
    assert config.trial.training.max_epochs == 7
    training = config.trial.training.model_copy(
        update={"max_epochs": trained.training.max_epochs}
    )
    assert config.trial.model_copy(update={"training": training}) == trained
    assert config.corpus.train_list.is_absolute()
    assert config.corpus.train_list.is_file()
    assert config.teacher is not None
    assert config.teacher_sha256 == file_sha256(config.teacher)


def test_the_engine_of_the_search_is_exported(trained_run: RunFolder) -> None:
    assert export_trial(RunView.read(trained_run)).config.engine == EngineConfig()
    started = latest(trained_run.read(), SearchStarted)
    assert started is not None
    settings = started.settings | {"engine": {"precision": "float16"}}
    with Journal(trained_run.journal) as journal:
        journal.append(SearchStarted(settings=settings, provenance={"command": "veer search"}))
    folder = export_trial(RunView.read(trained_run)).folder
    assert read_train_config(folder / "config.yaml").engine == EngineConfig(precision="float16")


def test_without_epochs_the_trials_own_number_stands(trained_run: RunFolder) -> None:
    assert export_trial(RunView.read(trained_run)).config.trial.training.max_epochs == 2


def test_the_weights_are_the_networks_and_fit_strictly(trained_run: RunFolder) -> None:
    exported = export_trial(RunView.read(trained_run))
    loaded = load_speaker_model(trained_run.trial(0)).model
    model = build_model(exported.config.trial.model).eval()
    model.load_state_dict(load_file(exported.folder / "weights.safetensors"), strict=True)
    feat_BTF = torch.randn(2, 40, 80, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.embed(feat_BTF), loaded.embed(feat_BTF))


def test_averaged_weights_are_exported_and_the_card_names_them(
    trained_run: RunFolder, trained: Trained
) -> None:
    """The student of this run was trained with `training.ema_epochs`."""
    exported = export_trial(RunView.read(trained_run))
    weights = load_file(exported.folder / "weights.safetensors")
    averaged = trained.student.evaluated.state_dict()
    assert all(torch.equal(weights[name], each) for name, each in averaged.items())
    raw = trained.student.model.state_dict()
    assert not all(torch.equal(weights[name], each) for name, each in raw.items())
    card = (exported.folder / "README.md").read_text()
    expected = "an average over the steps of training, with a time constant of 0.5 epochs"
    assert f"- weights: {expected}\n" in card
    assert "ema_epochs: 0.5" in card
    assert _weights(TrainingConfig()) == "as they were after an epoch"
    last = "the average of the ends of the last 10 epochs so far"
    assert _weights(TrainingConfig(average_last=10)) == last


def test_the_cards_own_code_loads_the_model(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = export_trial(RunView.read(trained_run))
    card = (exported.folder / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    monkeypatch.chdir(exported.folder)
    wave_BS = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    names: dict[str, object] = {"wave": wave_BS}
    exec(code, names)  # our own card
    embedding = names["embedding"]
    assert isinstance(embedding, torch.Tensor)
    assert embedding.shape == (2, 24)


def test_the_card_states_metrics_data_and_provenance(trained_run: RunFolder) -> None:
    card = (export_trial(RunView.read(trained_run)).folder / "README.md").read_text()
    (veer,) = re.findall(r"- VEER: ([\d.]+) % after epoch 1 of 1", card)
    (record,) = [
        r for r in trained_run.read() if r.event == "epoch" and r.trial == 0
    ]
    assert float(veer) == pytest.approx(record.veer_pct, abs=0.005)
    assert "- speakers: 6" in card
    assert "- training utterances: 30 in" in card
    assert "- validation trial pairs: 190 in" in card
    assert "- command: veer search" in card
    assert "Not measured; run `veer benchmark" in card


def test_after_a_benchmark_the_card_has_its_rows(trained_run: RunFolder) -> None:
    config = BenchmarkConfig(num_threads=(1,), rounds=2, warmup_rounds=0)
    benchmark_run(RunView.read(trained_run), 1, config)
    card = (export_trial(RunView.read(trained_run)).folder / "README.md").read_text()
    rows = re.findall(r"^\| (teacher|trial 0|front end) \|", card, flags=re.MULTILINE)
    assert rows == ["teacher", "trial 0", "front end"] * 2
    assert "Hardware: cpu " in card


def test_an_earlier_export_is_replaced_whole(trained_run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_trial(RunView.read(trained_run), out=out)
    (out / "stale.txt").write_text("old")
    export_trial(RunView.read(trained_run), out=out, epochs=3)
    names = ["README.md", "config.yaml", "weights.safetensors"]
    assert sorted(file.name for file in out.iterdir()) == names
    assert read_yaml(out / "config.yaml").data["trial"]["training"]["max_epochs"] == 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


def test_a_folder_of_something_else_is_left_alone(trained_run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="exists and is not an earlier export"):
        export_trial(RunView.read(trained_run), out=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_trial_without_weights_is_an_error(trained_run: RunFolder) -> None:
    with pytest.raises(RunError, match="trial 1 has no checkpoint any more"):
        export_trial(RunView.read(trained_run), 1)
    with pytest.raises(RunError, match="no trial 5; its trials are 0 to 1"):
        export_trial(RunView.read(trained_run), 5)
    assert not trained_run.exports.exists()


def test_a_file_of_embeddings_is_named_as_the_teacher(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    teacher = tmp_path / "teacher.parquet"
    with Journal(trained_run.journal) as journal:
        journal.append(TeacherRecord(path=teacher, veer_pct=None, num_params=None, sha256="ab"))
    exported = export_trial(RunView.read(trained_run))
    assert exported.config.teacher == teacher
    assert exported.config.teacher_sha256 == "ab"
    assert "- VEER of the teacher: unknown\n" in (exported.folder / "README.md").read_text()


def test_without_distillation_no_teacher_is_named(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    teacher = latest(trained_run.read(), TeacherRecord)
    assert teacher is not None
    trial = trained_run.trial(2)
    trial.parent.mkdir(exist_ok=True)
    Path(teacher.path).parents[1].rename(trial)
    with Journal(trained_run.journal) as journal:
        config = load_speaker_model(trial).config
        journal.append(
            TrialStarted(
                trial=2,
                params={},
                config=config.canonical(),
                config_hash=config.config_hash(),
                seed=0,
            )
        )
    exported = export_trial(RunView.read(trained_run), 2, tmp_path / "out")
    assert exported.config.teacher is None
    assert "teacher" not in read_yaml(tmp_path / "out" / "config.yaml").data


@pytest.mark.slow
def test_a_full_disk_leaves_the_earlier_export(trained_run: RunFolder, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    outcome = run_case("export", disk, trained_run.path)
    assert outcome["after"] == outcome["before"]
    assert "best/weights.safetensors" in outcome["before"]
    assert re.match(f"{disk}/best: cannot be written .*[0-9,]+ bytes are", outcome["message"])
