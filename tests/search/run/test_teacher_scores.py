"""Where a teacher's network is scored; the process that leads a search uses no GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.cluster.gpu_task import NoGpuError
from search.config.search_config import SearchConfig
from search.run import teacher_scores as module
from search.run.teacher_scores import TeacherScorer
from tests.worlds.made_up_gpu import forbid_cuda_here
from trainable.features.training_data import TrainingData, load_training_data
from trainable.teachers.any_teacher import find_teacher


@pytest.fixture
def settings(make_settings: Callable[..., SearchConfig]) -> SearchConfig:
    return make_settings(device="auto")


@pytest.fixture
def data(settings: SearchConfig, tiny_world: Path) -> TrainingData:
    return load_training_data(settings.corpus, cache_dir=tiny_world / "cache")


@pytest.mark.parametrize(
    ("device", "has_gpus", "is_busy", "on_gpu"),
    [
        ("auto", True, False, True),
        ("cuda", True, False, True),
        ("auto", True, True, False),
        ("auto", False, False, False),
        ("cpu", True, False, False),
    ],
)
def test_a_network_is_scored_on_a_gpu_of_ray_and_on_no_other(
    settings: SearchConfig,
    data: TrainingData,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    *,
    has_gpus: bool,
    is_busy: bool,
    on_gpu: bool,
) -> None:
    file = find_teacher(settings.teacher)
    expected, num_params = module.network_scores(file, data, 2, module.torch.device("cpu"))
    asked: list[str] = []

    def run_there(function: Callable[..., Any], *arguments: Any, what: str, **_: Any) -> Any:
        if is_busy:
            raise NoGpuError(f"{what} got no GPU")
        asked.append(what)
        return function(*arguments)

    monkeypatch.setattr(module, "run_on_gpu", run_there)
    # The other process has a GPU that is only declared.
    monkeypatch.setattr(module, "choose_device", lambda _: module.torch.device("cpu"))
    forbid_cuda_here(monkeypatch)
    printed: list[str] = []
    given = settings.model_copy(update={"device": device})
    scorer = TeacherScorer(
        settings=given, connect_gpus=lambda: has_gpus, print_line=printed.append
    )
    scores, found = scorer.scores(file, data, 2)
    assert (asked, found) == (["the teacher's VEER"] * on_gpu, num_params)
    assert np.array_equal(scores, expected)
    line = "the teacher's VEER got no GPU; it is measured on the CPU"
    assert printed == [line] * is_busy
