"""A search on an MLflow server: a run for the search, and below it a run for each trial.

The server is `$MLFLOW_TRACKING_URI`, the experiment `$MLFLOW_EXPERIMENT_NAME` or `veer`. Runs are
found again by tags, so that a resumed search continues its own, and no epoch is sent twice.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from results.journal.history import TrialHistory
from results.records.trial_records import EpochEnded
from results.trackers.sender import TrackedSearch

URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
# Limits of the MLflow server.
MAX_PARAMS, MAX_PARAM_CHARS = 100, 6000
# By default one call to a server that is down takes minutes, and each end of a run prints lines.
BEHAVIOUR = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
KEY, TRIAL, STATE, REASON = "veer.search", "veer.trial", "veer.state", "veer.reason"
_EPOCH = "epoch"
_PARENT, _NAME = "mlflow.parentRunId", "mlflow.runName"
_OF_SEARCH = "search"


class MLflowServer:
    """A `results.trackers.sender.Tracker` for MLflow."""

    def __init__(self) -> None:
        self._client: Any = None
        self._experiment = self._search_run = ""
        self._key = ""
        self._runs: dict[int, str] = {}
        self._last_epoch: dict[int, int] = {}
        self._ended: set[int] = set()

    def open(self, search: TrackedSearch) -> None:
        """Connect; find or make the run of the search, and the runs of its trials."""
        for name, value in BEHAVIOUR.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=os.environ[URI])
        self._key = search.key
        self._experiment = self._find_experiment(os.environ.get(EXPERIMENT) or "veer")
        found = self._known_runs()
        self._search_run = found.get(_OF_SEARCH) or self._create(
            search.name, search.start_s, {TRIAL: _OF_SEARCH}
        )
        self._log_params(self._search_run, search.params)

    def start(self, trial: TrialHistory, name: str) -> None:
        """Begin the run of a trial, or continue it."""
        if trial.trial not in self._runs:
            tags = {TRIAL: str(trial.trial), _PARENT: self._search_run}
            self._runs[trial.trial] = self._create(name, trial.start_s, tags)
            self._last_epoch[trial.trial] = 0
        elif trial.trial in self._ended and trial.num_runs > 1:
            self._client.update_run(self._runs[trial.trial], status="RUNNING")
            self._ended.discard(trial.trial)
        self._log_params(
            self._runs[trial.trial], {**trial.params, "seed": trial.started.seed}
        )

    def epoch(self, trial: TrialHistory, record: EpochEnded, numbers: Mapping[str, float]) -> None:
        """Send the numbers of an epoch that the server does not have."""
        if record.epoch <= self._last_epoch[trial.trial]:
            return
        # `epoch` itself says, after a resume, what the server already has.
        self._log_metrics(trial.trial, {**numbers, _EPOCH: record.epoch}, record)
        self._last_epoch[trial.trial] = record.epoch

    def end(self, trial: TrialHistory, summary: Mapping[str, float]) -> None:
        """End the run of a trial; its epochs already have the numbers of the summary."""
        del summary
        if trial.trial in self._ended or trial.ended is None:
            return
        run = self._runs[trial.trial]
        self._client.set_tag(run, STATE, trial.state)
        if trial.ended.reason:
            self._client.set_tag(run, REASON, trial.ended.reason)
        status = "FAILED" if trial.state == "failed" else "FINISHED"
        self._client.set_terminated(run, status, end_time=_ms(trial.ended.time_s))
        self._ended.add(trial.trial)

    def finish(self, files: Sequence[Path], summary: Mapping[str, float]) -> None:
        """Send tables and page as artifacts of the search's run, and end it."""
        for file in files:
            self._client.log_artifact(self._search_run, str(file))
        for name, value in summary.items():
            self._client.log_metric(self._search_run, name, value)
        self._client.set_terminated(self._search_run, "FINISHED")

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        number: str = found.experiment_id if found else self._client.create_experiment(name)
        return number

    def _known_runs(self) -> dict[str, str]:
        """Read the runs of this search; return their ids by the tag `veer.trial`."""
        known: dict[str, str] = {}
        page: Any = None
        while page is None or page.token:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`{KEY}` = '{self._key}'",
                page_token=None if page is None else page.token,
            )
            for run in page:
                trial = run.data.tags.get(TRIAL, "")
                known[trial] = run.info.run_id
                if trial.isdecimal():
                    self._runs[int(trial)] = run.info.run_id
                    self._last_epoch[int(trial)] = int(run.data.metrics.get(_EPOCH, 0))
                    if run.info.status in {"FINISHED", "FAILED"}:
                        self._ended.add(int(trial))
        return known

    def _create(self, name: str, start_s: float, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(
            self._experiment, start_time=_ms(start_s), tags={KEY: self._key, _NAME: name, **tags}
        )
        run_id: str = run.info.run_id
        return run_id

    def _log_params(self, run: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        left = iter([Param(name, str(value)[:MAX_PARAM_CHARS]) for name, value in params.items()])
        while batch := list(islice(left, MAX_PARAMS)):
            self._client.log_batch(run, params=batch)

    def _log_metrics(
        self, trial: int, numbers: Mapping[str, float], record: EpochEnded
    ) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, float(value), _ms(record.time_s), record.epoch)
            for name, value in numbers.items()
        ]
        self._client.log_batch(self._runs[trial], metrics=metrics)


def _ms(time_s: float) -> int:
    return round(1000 * time_s)
