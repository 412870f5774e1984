"""A search on Weights & Biases: a group of runs, one for each trial and one for the search.

The project is `$WANDB_PROJECT` or `veer`; with `WANDB_MODE=offline` all is written to `RUN/wandb`
only. A run that cannot be begun online is written offline: `wandb sync` sends it later. The ids of
runs depend on search and trial alone, so a resumed search continues them, and `wandb sync` joins
the parts.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from results.journal.history import TrialHistory
from results.records.trial_records import EpochEnded
from results.trackers.sender import TrackedSearch, flat

PROJECT, MODE = "WANDB_PROJECT", "WANDB_MODE"
# By default a command waits without limit for a server that does not answer.
WITHIN_S = 20.0


class WandbRuns:
    """A `results.trackers.sender.Tracker` for Weights & Biases.

    Args:
        print_line: Prints one line to the user.
    """

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._search: TrackedSearch | None = None
        self._open: dict[int, Any] = {}
        self._done: set[int] = set()
        self._mode: str | None = None

    def open(self, search: TrackedSearch) -> None:
        """Take the search; its runs are begun by its trials."""
        import wandb

        self._search = search
        self._mode = os.environ.get(MODE)
        self._wandb = wandb

    def start(self, trial: TrialHistory, name: str) -> None:
        """Begin the run of a trial, or continue it."""
        if trial.trial in self._open or trial.trial in self._done:
            return
        if trial.trial in self._taken.ended and self._has_files(trial.trial):
            self._done.add(trial.trial)  # by an earlier part of the search
            return
        config = {**trial.params, "seed": trial.started.seed, "trial": trial.trial}
        self._open[trial.trial] = self._begin(self._id(trial.trial), name, "trial", config)

    def epoch(self, trial: TrialHistory, record: EpochEnded, numbers: Mapping[str, float]) -> None:
        """Send the numbers of an epoch; one that the run already has is left out there."""
        if (run := self._open.get(trial.trial)) is not None and record.epoch >= run.step:
            run.log(dict(numbers), step=record.epoch)

    def end(self, trial: TrialHistory, summary: Mapping[str, float]) -> None:
        """End the run of a trial."""
        if (run := self._open.get(trial.trial)) is None or trial.ended is None:
            return
        run.summary.update({**summary, "state": trial.state, "reason": trial.ended.reason or ""})
        run.finish(exit_code=int(trial.state == "failed"))
        del self._open[trial.trial]
        self._done.add(trial.trial)

    def finish(self, files: Sequence[Path], summary: Mapping[str, float]) -> None:
        """Send tables and page as an artifact of the search's own run; end all runs."""
        search = self._taken
        run = self._begin(f"{search.key}-search", search.name, "search", search.params)
        artifact = self._wandb.Artifact(f"veer-{search.key}", type="search")
        for file in files:
            artifact.add_file(str(file))
        run.log_artifact(artifact)
        run.summary.update(dict(summary))
        for each in (*self._open.values(), run):
            each.finish()
        self._open.clear()

    @property
    def _taken(self) -> TrackedSearch:
        assert self._search is not None  # noqa: S101 - the sender opens a tracker first
        return self._search

    def _id(self, trial: int) -> str:
        return f"{self._taken.key}-{trial:04d}"

    def _has_files(self, trial: int) -> bool:
        return any((self._taken.folder / "wandb").glob(f"*run-*-{self._id(trial)}"))

    def _begin(self, name: str, shown: str, kind: str, config: Mapping[str, Any]) -> Any:
        try:
            return self._init(name, shown, kind, config, self._mode)
        except self._wandb.Error as error:
            if self._mode == "offline":
                raise
            folder = self._taken.folder / "wandb"
            self._print_line(
                f"wandb did not take run {shown} ({error}); this and the later runs are written "
                f"to {folder}, from where `wandb sync` sends them"
            )
            self._mode = "offline"  # for the rest: each try would take as long
            return self._init(name, shown, kind, config, self._mode)

    def _init(
        self, name: str, shown: str, kind: str, config: Mapping[str, Any], mode: str | None
    ) -> Any:
        search, wandb = self._taken, self._wandb
        settings = wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True,
            init_timeout=WITHIN_S, finish_timeout=WITHIN_S,
        )  # nothing of the user's machine but what is named here is sent
        return wandb.init(
            project=os.environ.get(PROJECT) or "veer", id=name, name=shown, group=search.name,
            job_type=kind, config=dict(flat(config)), dir=str(search.folder), resume="allow",
            reinit="create_new", mode=mode, settings=settings,
        )
