"""Where the calibration of a model comes from: its file, else the validation of its run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from search.use.model_in_use import find_calibration, find_plan, open_model
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import veer
from tests.worlds.tiny_models import SMALL_STUDENT
from trainable.calibration.calibration import Calibration, write_calibration
from trainable.verification.scores import SCORES_FILE, read_scores

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of one epoch."""
    folder = tmp_path_factory.mktemp("use")
    corpus = make_corpus(folder / "corpus", num_val_speakers=7, num_utterances=2)
    data = {name: str(corpus.parent / value) for name, value in read_yaml(corpus).data.items()}
    trial = SMALL_STUDENT | {"loss": {"distillation": "none"}}
    write_yaml(folder / "run.yaml", {"corpus": data, "trial": trial})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEER_CACHE", str(folder / "cache"))
        result = veer("train", folder / "run.yaml", "--out", folder / "run", "--epochs", 1)
    assert result.exit_code == 0, result.output
    return folder / "run"


def found(run: Path, given: Path | None = None) -> tuple[Calibration, str]:
    calibration, origin = find_calibration(open_model(run, CPU), given)
    assert calibration is not None
    return calibration, origin


def test_a_training_run_decides_by_its_validation_scores(run: Path) -> None:
    calibration, origin = found(run)
    assert calibration.basis == f"validation scores of {run}, epoch 1"
    assert origin == "kept by its run"
    scores = read_scores(run / SCORES_FILE).scores
    assert calibration.num_target_pairs + calibration.num_nontarget_pairs == scores.size
    assert calibration.num_speakers == 7
    # The same labels as the list's: an EER of them is the run's VEER.
    assert calibration.eer_pct == pytest.approx(read_scores(run / SCORES_FILE).veer_pct, abs=1e-4)
    # The crops of validation: 2, of the network's 40 frames.
    plan = find_plan(calibration)
    assert (plan.num_crops, plan.num_frames) == (2, 40)


def test_a_stored_calibration_goes_before_and_a_given_one_before_that(
    run: Path, tmp_path: Path
) -> None:
    calibration, _ = found(run)
    stored, given = open_model(run, CPU).calibration_file, tmp_path / "given.json"
    assert stored == run / "calibration.json"
    write_calibration(given, calibration.model_copy(update={"basis": "given"}))
    write_calibration(stored, calibration.model_copy(update={"basis": "stored"}))
    try:
        assert found(run)[0].basis == "stored"
        assert found(run, given)[0].basis == "given"
        # A model file of the run is the same model.
        (file,) = (run / "model").glob("*.model")
        assert found(file)[0].basis == "stored"
    finally:
        stored.unlink()


def test_without_scores_there_is_none_and_why(run: Path) -> None:
    kept = (run / SCORES_FILE).read_bytes()
    (run / SCORES_FILE).unlink()
    try:
        calibration, why = find_calibration(open_model(run, CPU))
    finally:
        (run / SCORES_FILE).write_bytes(kept)
    assert calibration is None
    assert why.endswith("no run keeps validation scores of this model")


def test_a_graph_is_of_no_search(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--trial 3 needs the run folder of a search, got"):
        open_model(tmp_path / "a.onnx", CPU, trial=3)
