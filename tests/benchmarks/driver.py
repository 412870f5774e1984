"""What the driver of a search costs, by the number of trials, against plain Ray Tune.

`make bench NAME=driver`, or `python -m tests.benchmarks.driver --trials 100 1000 10000`. The
trials do no work. All else of a search is real: Ray, sampler, ASHA, journal, study and event files
that grow with it, tables and page at its end. Plain Ray Tune has its own OptunaSearch and ASHA,
its default loggers and the same trials, of which it gets the VEER alone. Both run `AT_ONCE` trials
at a time on a local Ray, and each search has a process of its own.

The memory is the most that the driver had, PyTorch and the other imports included, at the end and
before the first trial. "suggestion" is the time to the next trial, the median
of the last `LAST` ones. The ratio is results per second of Veer, over those of plain Ray Tune.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from rich.console import Console

from results.page.report import write_report
from results.tables.trials import write_tables
from search.cluster.connection import connected
from search.config.reading import read_search_config
from search.loop.coordinator import Coordinator
from search.ray_tune import driver as driver_module
from search.review.audit_run import audit_search
from search.run import run_search as run_search_module
from search.run.progress import SearchView
from spaces.files.yaml_file import write_yaml
from tests.benchmarks.driver_trial import PlainTrial, WorklessTrial
from tests.benchmarks.report import finish
from tests.worlds.tiny_models import MIXER, TRAINING
from tests.worlds.tiny_world import build_tiny_world, small_search
from trainable.machine.hardware import describe_hardware

VEER, PLAIN = "veer", "plain Ray Tune"
SIZES = (100, 1000)
AT_ONCE, CPUS_EACH = 8, 0.25
MAX_EPOCHS, GRACE_EPOCHS, FACTOR = 9, 1, 3
LR_LOW, LR_HIGH = 1e-4, 1e-2
LAST = 100
# Of plain Ray Tune's results per second, at the largest size.
TARGET = 1.0


def veer_figures(num_trials: int, folder: Path) -> dict[str, float]:
    """Run a search of Veer and return its figures."""
    world = build_tiny_world(folder / "world")
    write_yaml(folder / "space.yaml", {
        "model": MIXER,
        "loss": {"distillation": "none"},
        "training": {
            **TRAINING, "max_epochs": MAX_EPOCHS,
            "lr": {"low": LR_LOW, "high": LR_HIGH, "log": True},
        },
    })  # fmt: skip
    settings = {
        **small_search(world),
        "space": str(folder / "space.yaml"),
        "num_trials": num_trials,
        "max_epochs": MAX_EPOCHS,
        "max_concurrent": AT_ONCE,
        "scheduler": {"grace_epochs": GRACE_EPOCHS, "reduction_factor": FACTOR},
        "resources": {"cpu": CPUS_EACH},
    }
    write_yaml(folder / "settings.yaml", settings)
    os.environ["VEER_CACHE"] = str(world / "cache")
    driver_module.CheckedTrial = WorklessTrial  # type: ignore[misc]
    suggestion_s: list[float] = []
    driving_s: list[float] = []
    ending_s: list[float] = []
    start_mb: list[float] = []
    Coordinator.next_trial = timed(Coordinator.next_trial, suggestion_s)  # type: ignore[method-assign]
    drive = timed(run_search_module.drive, driving_s)

    def measured_drive(*args: Any, **options: Any) -> None:
        start_mb.append(peak_mb())
        drive(*args, **options)

    run_search_module.drive = measured_drive
    run_search_module.rebuild_results = timed(run_search_module.rebuild_results, ending_s)
    view = SearchView(Console(quiet=True))
    result = run_search_module.run_search(
        read_search_config(folder / "settings.yaml"), folder / "run", view
    )
    assert result.reason == "finished", result.reason
    page = folder / "run" / "page.html"
    tables_s = timed_once(lambda: write_tables(result.run))
    page_s = timed_once(lambda: write_report(result.run, page, audit=audit_search))
    return {
        "results": sum(len(trial.epochs) for trial in result.run.own),
        "seconds": sum(driving_s),
        "suggestion, ms": 1e3 * median(suggestion_s[-LAST:]),
        "at the end, s": sum(ending_s),
        "tables, s": tables_s,
        "page, s": page_s,
        "page, MB": page.stat().st_size / 1e6,
        "disk, MB": bytes_of(folder / "run") / 1e6,
        "memory at the start, MB": start_mb[0],
    }


def plain_figures(num_trials: int, folder: Path) -> dict[str, float]:
    """Run a search of plain Ray Tune and return its figures."""
    num_results: list[int] = []
    suggestion_s: list[float] = []

    class Counted(OptunaSearch):
        def suggest(self, trial_id: str) -> dict[str, Any] | None:
            begun_s = time.perf_counter()
            found = super().suggest(trial_id)
            suggestion_s.append(time.perf_counter() - begun_s)
            return found

        def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
            num_results.append(1)
            super().on_trial_result(trial_id, result)

    # The connection of Veer, so that both have the same Ray, but with Tune's own loggers.
    with connected(None, num_cpus=2):
        os.environ.pop("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", None)
        os.environ.pop("TUNE_GLOBAL_CHECKPOINT_S", None)
        search = Counted(
            {"lr": _log_uniform()}, metric="veer_pct", mode="min", seed=0,
        )  # fmt: skip
        scheduler = ASHAScheduler(
            metric="veer_pct", mode="min", max_t=MAX_EPOCHS, grace_period=GRACE_EPOCHS,
            reduction_factor=FACTOR,
        )  # fmt: skip
        start_mb, begun_s = peak_mb(), time.perf_counter()
        tune.run(
            tune.with_resources(PlainTrial, {"cpu": CPUS_EACH}),
            num_samples=num_trials,
            max_concurrent_trials=AT_ONCE,
            search_alg=search,
            scheduler=scheduler,
            stop={"training_iteration": MAX_EPOCHS},
            reuse_actors=True,
            storage_path=str(folder / "tune"),
            verbose=0,
        )
        seconds = time.perf_counter() - begun_s
    return {
        "results": len(num_results) + num_trials,
        "seconds": seconds,
        "suggestion, ms": 1e3 * median(suggestion_s[-LAST:]),
        "disk, MB": bytes_of(folder / "tune") / 1e6,
        "memory at the start, MB": start_mb,
    }


def _log_uniform() -> Any:
    from optuna.distributions import FloatDistribution

    return FloatDistribution(LR_LOW, LR_HIGH, log=True)


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """Return a function that adds the time of each call to a list."""

    def wrapped(*args: Any, **options: Any) -> Any:
        begun_s = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            seconds.append(time.perf_counter() - begun_s)

    return wrapped


def timed_once(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    begun_s = time.perf_counter()
    call()
    return time.perf_counter() - begun_s


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measure(arm: str, num_trials: int) -> dict[str, float]:
    """Measure one search in this process."""
    with tempfile.TemporaryDirectory() as folder:
        figures = (veer_figures if arm == VEER else plain_figures)(num_trials, Path(folder))
    rate = figures["results"] / figures["seconds"]
    return {"results / s": rate, **figures, "memory, MB": peak_mb()}


def peak_mb() -> float:
    """Return the most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure_elsewhere(arm: str, num_trials: int) -> dict[str, float]:
    """Call `measure` in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.driver", "--arm", arm,
               "--trials", str(num_trials)]  # fmt: skip
    # Ray's workers find the trials by it.
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench NAME=driver", description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[*SIZES])
    parser.add_argument("--arm", choices=(VEER, PLAIN), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(measure(options.arm, options.trials[0])))
        return
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    found: dict[tuple[str, int], dict[str, float]] = {}
    for num_trials in options.trials:
        for arm in (VEER, PLAIN):
            found[arm, num_trials] = measure_elsewhere(arm, num_trials)
            print(f"measured: {arm}, {num_trials:,} trials", file=sys.stderr)
    names = list(found[VEER, options.trials[0]])
    rows = [
        (arm, f"{num_trials:,}", *(f"{figures[n]:.4g}" if n in figures else "-" for n in names))
        for (arm, num_trials), figures in found.items()
    ]
    for row in (("", "trials", *names), ("---",) * (2 + len(names)), *rows):
        print("| " + " | ".join(row) + " |")
    largest = options.trials[-1]
    rates = [found[arm, largest]["results / s"] for arm in (VEER, PLAIN)]
    finish("driver", ratio=rates[0] / rates[1], target=TARGET)


if __name__ == "__main__":
    main()
