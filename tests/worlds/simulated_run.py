"""Run folders of searches that were simulated: real journals, with curves that are known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.records.search_records import SearchEnded, SearchStarted
from search.config.reading import read_search_config
from search.loop.setup import make_coordinator
from search.loop.trial_course import TrialCourse
from search.simulation.objective import SimulatedTrial
from search.simulation.replay import replay
from spaces.files.yaml_file import write_yaml
from trainable.config.reading import read_trial_space

SPACE = """\
model:
  family: mlp_mixer
  num_blocks: {choices: [2, 4]}
loss:
  distillation: {choices: [none, cosine]}
  alpha: {low: 0.1, high: 0.9, when: {loss.distillation: cosine}}
training:
  lr: {low: 0.0001, high: 0.01, log: true}
"""
MAX_EPOCHS = 9
EPOCH_NOISE, SEED_NOISE = 0.03, 0.05
SETTINGS: Mapping[str, Any] = {
    "corpus": dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), "/none"),
    "space": "space.yaml",
    "num_trials": 24,
    "max_epochs": MAX_EPOCHS,
    "sampler": "random",
    "scheduler": {"kind": "none"},
    "resources": {"cpu": 2},
}


class KnownStudents:
    """Students whose last VEER depends on the learning rate, alpha and the seed.

    Args:
        noise: Factor on the noise.
    """

    def __init__(self, noise: float = 1.0) -> None:
        self._noise = noise

    def last_pct(self, params: Mapping[str, Any]) -> float:
        """Return the VEER that a config comes near to, percent."""
        off = np.log10(params["training.lr"] / 2e-3) ** 2
        alpha = params.get("loss.alpha")
        return float(6 * np.exp(0.6 * off + (0.3 if alpha is None else (alpha - 0.6) ** 2)))

    def trial(self, course: TrialCourse) -> SimulatedTrial:
        """Return the course of a trial."""
        params, rng = course.suggestion.params, np.random.default_rng(course.config.seed)
        last = np.log(self.last_pct(params)) + self._noise * SEED_NOISE * rng.normal()
        curve = last + 1.5 / (1 + np.arange(1, MAX_EPOCHS + 1))
        noise = self._noise * EPOCH_NOISE * rng.normal(size=MAX_EPOCHS)
        veer_pct = np.exp(curve + noise)
        return SimulatedTrial(
            veer_pct=veer_pct.tolist(),
            dprime=(4 - np.exp(curve) / 10).tolist(),
            epoch_s=10.0 * course.config.model.num_blocks,
        )


def write_simulated_run(folder: Path, noise: float = 1.0, **settings: Any) -> RunView:
    """Write the run folder of a search of these students, and return its view.

    Args:
        folder: The run folder, not there yet.
        noise: Factor on the students' noise.
        settings: Settings in place of those in `SETTINGS`.
    """
    folder.mkdir(parents=True)
    (folder / "space.yaml").write_text(SPACE)
    write_yaml(folder / "search.yaml", {**SETTINGS, **settings})
    config = read_search_config(folder / "search.yaml")
    space = read_trial_space(config.space)
    with Journal(folder / "journal.jsonl") as journal:
        dumped = config.model_dump(mode="json")
        journal.append(SearchStarted(settings=dumped, provenance={}))
        students = KnownStudents(noise)
        for _ in replay(
            lambda clock: make_coordinator(config, space, journal, clock=clock), students
        ):
            pass
        journal.append(SearchEnded(reason="finished"))
    return RunView.read(folder)
