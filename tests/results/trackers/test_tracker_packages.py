"""What is sent to the packages of MLflow and Weights & Biases, seen by stand-ins for them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.trackers.mlflow_server import MLflowServer
from results.trackers.sender import Sender
from results.trackers.wandb_runs import WandbRuns
from tests.worlds.simulated_search import Killed, make_coordinator, work


class Page(list[Any]):
    token = None


class MlflowClient:
    """The calls of MLflow's client that are used, with one server for all."""

    runs: dict[str, SimpleNamespace]

    def __init__(self, tracking_uri: str) -> None:
        assert tracking_uri == "http://127.0.0.1:5000"

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="7") if name == "mine" else None

    def search_runs(self, experiments: list[str], filter_string: str, page_token: Any) -> Page:
        assert (experiments, page_token) == (["7"], None)
        key = filter_string.split("'")[1]

        def data(run: SimpleNamespace) -> SimpleNamespace:
            latest = {name: points[-1][1] for name, points in run.points.items()}
            return SimpleNamespace(tags=run.tags, metrics=latest)

        return Page(
            SimpleNamespace(
                info=SimpleNamespace(run_id=name, status=run.status),
                data=data(run),
            )
            for name, run in self.runs.items()
            if run.tags["veer.search"] == key
        )

    def create_run(self, experiment: str, start_time: int, tags: dict[str, str]) -> Any:
        assert experiment == "7"
        assert start_time > 1e12
        name = f"run {len(self.runs)}"
        self.runs[name] = SimpleNamespace(
            tags=tags, points={}, params={}, status="RUNNING", files=[]
        )
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        for metric in metrics:
            self.runs[run].points.setdefault(metric.key, []).append((metric.step, metric.value))
        for param in params:
            assert self.runs[run].params.setdefault(param.key, param.value) == param.value

    def log_metric(self, run: str, name: str, value: float) -> None:
        self.runs[run].points[name] = [(0, value)]

    def set_tag(self, run: str, name: str, value: str) -> None:
        self.runs[run].tags[name] = value

    def set_terminated(self, run: str, status: str, end_time: int | None = None) -> None:
        del end_time
        self.runs[run].status = status

    def log_artifact(self, run: str, file: str) -> None:
        self.runs[run].files.append(Path(file).name)


class WandbRun(SimpleNamespace):
    def log(self, numbers: dict[str, float], step: int) -> None:
        self.step = step
        self.points[step] = numbers

    def finish(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code

    def log_artifact(self, artifact: Any) -> None:
        self.files = artifact.files


class Artifact:
    def __init__(self, name: str, type: str) -> None:
        assert (name[:5], type) == ("veer-", "search")
        self.files: list[str] = []

    def add_file(self, file: str) -> None:
        self.files.append(Path(file).name)


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> dict[str, SimpleNamespace]:
    """The server's runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.setattr(MlflowClient, "runs", {}, raising=False)
    tracking, entities = ModuleType("mlflow.tracking"), ModuleType("mlflow.entities")
    tracking.MlflowClient = MlflowClient  # type: ignore[attr-defined]
    entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)  # type: ignore[attr-defined]
    entities.Metric = lambda key, value, _, step: SimpleNamespace(  # type: ignore[attr-defined]
        key=key, value=value, step=step
    )
    for module in (ModuleType("mlflow"), tracking, entities):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return MlflowClient.runs


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All runs by their ids, as they are after `wandb sync`; `broken` makes online ones fail."""
    runs: dict[str, Any] = {}
    module = ModuleType("wandb")

    def init(**options: Any) -> WandbRun:
        if "broken" in runs and options["mode"] != "offline":
            raise module.Error("no network")
        (Path(options["dir"]) / "wandb" / f"offline-run-1-{options['id']}").mkdir(
            parents=True, exist_ok=True
        )
        run = runs.setdefault(options["id"], WandbRun(points={}, step=0, exit_code=None))
        run.summary, run.options, run.step = {}, options, 0
        return run

    module.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    module.init, module.Artifact = init, Artifact  # type: ignore[attr-defined]
    module.Settings = lambda **each: each  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return runs


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "run" / "journal.jsonl") as opened:
        opened.append(SearchStarted(settings={"seed": 3}, provenance={}))
        yield opened


def run_killed_and_resumed(journal: Journal, make_tracker: Any) -> RunView:
    """Run a search that is killed once, each part with a new sender; return the run."""
    run = RunFolder(journal.path.parent)
    for epochs in (9, 1000):
        sender = Sender(make_tracker(), "tracker", "", pytest.fail)
        with Journal(journal.path) as writer:
            sender.begin(run, run.read())
            writer.follow(sender.take)
            coordinator = make_coordinator(writer, num_trials=5)
            try:
                work(coordinator, at_once=2, rng=np.random.default_rng(0), epochs=epochs)
            except Killed:
                sender._is_ending.set()
                assert sender._thread is not None
                sender._thread.join()
    run.report.write_text("page")
    view = RunView.read(run)
    sender.finish(run, view.records, [run.report])
    return view


def test_mlflow_gets_every_epoch_once(
    journal: Journal, mlflow: dict[str, SimpleNamespace]
) -> None:
    view = run_killed_and_resumed(journal, MLflowServer)
    of_trial = {run.tags["veer.trial"]: run for run in mlflow.values()}
    search = of_trial.pop("search")
    assert (search.status, search.files, search.params) == (
        "FINISHED", ["report.html"], {"seed": "3"}
    )  # fmt: skip
    assert len(mlflow) == len(view.histories) + 1
    for trial in view.histories:
        run = of_trial[str(trial.trial)]
        assert dict(run.points["veer_pct"]) == trial.measured
        assert [step for step, _ in run.points["epoch"]] == list(trial.epochs)
        assert run.tags["mlflow.runName"] == f"trial-{trial.trial:04d}"
        assert run.tags["mlflow.parentRunId"] == "run 0"
        assert (run.status, run.tags["veer.state"]) == ("FINISHED", trial.state)
        assert float(run.params["training.lr"]) == trial.params["training.lr"]


def test_wandb_gets_every_epoch(journal: Journal, wandb: dict[str, Any]) -> None:
    view = run_killed_and_resumed(journal, lambda: WandbRuns(pytest.fail))
    by_name = {run.options["name"]: run for run in wandb.values()}
    assert by_name.pop("run").files == ["report.html"]
    for trial in view.histories:
        run = by_name.pop(f"trial-{trial.trial:04d}")
        points = {step: numbers["veer_pct"] for step, numbers in run.points.items()}
        assert points == trial.measured
        assert (run.summary["state"], run.exit_code) == (trial.state, 0)
        assert (run.options["group"], run.options["reinit"]) == ("run", "create_new")
        assert run.options["config"]["training.lr"] == trial.params["training.lr"]
    assert by_name == {}


def test_a_wandb_run_that_cannot_begin_online_is_written_offline(
    journal: Journal, wandb: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    wandb["broken"], printed = None, list[str]()
    run_killed_and_resumed(journal, lambda: WandbRuns(printed.append))
    # Once in each part of the search.
    assert len(printed) == 2
    assert "did not take run trial-0000 (no network)" in printed[0]
    assert "`wandb sync`" in printed[0]
    modes = {run.options["mode"] for name, run in wandb.items() if name != "broken"}
    assert modes == {"offline"}
