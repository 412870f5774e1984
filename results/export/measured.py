"""The models that a benchmark measures: the teacher and the best trials of a run."""

import itertools
from pathlib import Path

from results.analysis.front import kept_first
from results.analysis.ranking import best_ended
from results.analysis.run_view import RunView
from results.export.best_model import load_best
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.teachers.any_teacher import is_network

TEACHER_NAME = "teacher"


def measured_models(view: RunView, top_k: int) -> dict[str, LoadedModel]:
    """Return the teacher, if it is a network of Veer's, and the best ended trials, by name.

    Args:
        view: The run.
        top_k: Number of trials, the best first; with several goals those of the front.

    Raises:
        RunError: No trial has ended with a VEER.
        CheckpointError: A checkpoint is missing or damaged.
    """
    models, teacher = {}, view.teacher
    # A graph, too, has no network of Veer's to measure.
    if teacher is not None and is_network(Path(teacher.path)):
        models[TEACHER_NAME] = load_speaker_model(Path(teacher.path))
    best_ended(view.histories, top_k)  # refuses a run without any
    ended = [trial for trial in view.histories if trial.ended is not None]
    for trial in itertools.islice(kept_first(ended), top_k):
        models[trial_name(trial.trial)] = load_best(view.folder, trial)
    return models


def trial_name(trial: int) -> str:
    """Return the name of a trial in the benchmark, as in `BenchmarkRow.model`."""
    return f"trial {trial}"
