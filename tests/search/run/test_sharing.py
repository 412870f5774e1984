"""Trials that share GPUs which are only declared, in whole searches."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.journal.journal import read_journal
from results.records.record import Record
from results.tables.trials import trials_table
from spaces.files.yaml_file import write_yaml
from tests.search.sharing_run import NET, WIDE

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

DEADLINE_S = 400
MAX_EPOCHS = 4
STEPS_AN_EPOCH = 3  # 30 utterances in batches of 8


class Searches:
    """Searches over the hungry student in processes of their own."""

    def __init__(self, folder: Path, world: Path, code: Path) -> None:
        self.folder, self.world, self.code = folder, world, code
        self.run, self.trace = folder / "run", folder / "trace"

    def start(
        self, *, num_cpus: int, num_gpus: int, **environment: str
    ) -> subprocess.Popen[str]:
        """Start or resume the search."""
        arguments = {
            "settings": str(self.folder / "settings.yaml"),
            "code": str(self.code),
            "run": str(self.run),
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
        }
        environment |= {
            "VEER_CACHE": str(self.world / "cache"),
            "HUNGRY_TRACE": str(self.trace),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.search.sharing_run",
             json.dumps(arguments)],
            env=os.environ | environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def finish(self, search: subprocess.Popen[str]) -> str:
        """Wait for the end and return the output."""
        out, _ = search.communicate(timeout=DEADLINE_S)
        assert search.returncode == 0, out
        return out

    def settle(
        self, widths: list[int], *, rates: Sequence[float] = (1e-3,), **settings: Any
    ) -> None:
        """Write space and settings: a trial for each width and learning rate."""
        write_yaml(
            self.folder / "space.yaml",
            {
                "model": {
                    "family": "hungry.net:Net",
                    "embedding_dim": 32,
                    "width": {"choices": widths},
                },
                "loss": {"distillation": "none"},
                "training": {
                    "batch_size": 8,
                    "crop_frames": 40,
                    "eval_frames": 60,
                    "lr": {"choices": list(rates)},
                },
            },
        )
        defaults = {
            "corpus": str(self.world / "corpus" / "corpus.yaml"),
            "space": "space.yaml",
            "sampler": "grid",
            "max_epochs": MAX_EPOCHS,
            "scheduler": {"kind": "none"},
            "benchmark_top": 0,
            "device": "cpu",
        }
        write_yaml(self.folder / "settings.yaml", defaults | settings)

    def passes(self) -> list[dict[str, Any]]:
        """Where each training pass ran, oldest first."""
        return [json.loads(line) for line in self.trace.read_text().splitlines()]

    def records(self, *events: str) -> list[Record]:
        """The journal's records of these events."""
        return [r for r in read_journal(self.run / "journal.jsonl") if r.event in events]


@pytest.fixture
def searches(
    tmp_path: Path, tiny_world: Path, own_code: Callable[..., Path]
) -> Searches:
    return Searches(tmp_path, tiny_world, own_code("hungry.net", NET, allowed=False))


def test_four_trials_on_two_gpus_are_two_on_each(searches: Searches) -> None:
    """A quarter of a GPU is enough for each, and Ray would put all of them on one."""
    searches.settle([8, 9], rates=(1e-3, 2e-3), resources={"cpu": 4, "gpu": 0.25})
    search = searches.start(num_cpus=16, num_gpus=2, HUNGRY_AT_ONCE="4")
    output = searches.finish(search)
    assert "a trial gets 0.5 of a GPU, more than 0.25, as at most 4 run at once on" in output
    assert "at most 4 trials at a time; the cluster fits 4, each with 4 threads and 0.5 GPUs" in (
        output
    )
    passes = searches.passes()
    pids = {each["pid"] for each in passes}
    assert len(pids) == 4
    first, last = (
        {pid: pick(each["time_s"] for each in passes if each["pid"] == pid) for pid in pids}
        for pick in (min, max)
    )
    assert max(first.values()) < min(last.values()), "not four at a time"
    gpu_of = {each["pid"]: each["gpu"] for each in passes}
    assert sorted(Counter(gpu_of.values()).values()) == [2, 2]
    assert {(each["share"], each["cpus"], each["threads"]) for each in passes} == {(0.5, 4, 4)}
    placed = searches.records("placed")
    assert {(each.num_cpus, each.num_gpus) for each in placed} == {(4, 0.5)}


def check_hungry_trial(searches: Searches) -> None:
    """Trial 0, the wide one, was given a half and then a whole GPU; all trials are complete."""
    trials = {r.trial for r in searches.records("trial_started")}
    ended = searches.records("trial_ended")
    assert {(r.trial, r.state) for r in ended} == {(n, "complete") for n in trials}
    events = searches.records("infrastructure")
    assert [(r.trial, r.kind, r.resource, r.share) for r in events] == [
        (0, "out_of_memory", "gpu", 0.5),
        (0, "out_of_memory", "gpu", 1.0),
    ]
    # It ran out of memory in the epoch after each checkpoint that it had come to.
    assert [r.epoch for r in events] == [1, 2]
    assert all("Tried to allocate 2.00 GiB" in r.message for r in events)
    epochs = [(r.trial, r.epoch) for r in searches.records("epoch")]
    assert sorted(epochs) == [(n, e) for n in trials for e in range(1, MAX_EPOCHS + 1)]


def test_trial_that_needs_a_whole_gpu_gets_one_and_disturbs_no_other(searches: Searches) -> None:
    searches.settle([WIDE, 8], resources={"cpu": 1, "gpu": 0.25})
    searches.finish(searches.start(num_cpus=2, num_gpus=1))
    check_hungry_trial(searches)
    assert {r.trial for r in searches.records("trial_started")} == {0, 1}
    narrow = [each for each in searches.passes() if each["width"] < WIDE]
    # Nothing of a neighbour was run twice.
    assert len(narrow) == MAX_EPOCHS * STEPS_AN_EPOCH
    assert {each["share"] for each in narrow} == {0.25}
    wide = [each["share"] for each in searches.passes() if each["width"] == WIDE]
    assert set(wide) == {0.25, 0.5, 1.0}
    table = trials_table(RunView.read(searches.run)).to_pylist()
    assert {row["trial"]: row["retries"] for row in table} == {0: 2, 1: 0}


def test_search_that_is_killed_between_two_shares_resumes_with_the_larger(
    searches: Searches,
) -> None:
    searches.settle([WIDE], resources={"cpu": 1, "gpu": 0.25})
    nodes = {"num_cpus": 2, "num_gpus": 1}
    first = searches.start(**nodes, HUNGRY_PAUSE_S="0.3")
    journal = searches.run / "journal.jsonl"
    deadline_s = time.monotonic() + DEADLINE_S
    while not (journal.exists() and '"event":"infrastructure"' in journal.read_text()):
        assert time.monotonic() < deadline_s
        assert first.poll() is None, "the search ended before it was killed"
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=DEADLINE_S)
    [event] = searches.records("infrastructure")
    assert (event.trial, event.share) == (0, 0.5)
    num_before = len(searches.passes())
    searches.finish(searches.start(**nodes))
    assert searches.passes()[num_before]["share"] == 0.5
    check_hungry_trial(searches)


def test_trial_on_cpus_gets_twice_as_many_and_keeps_its_threads(searches: Searches) -> None:
    """Both trials have two CPUs and compute with as many threads, until one needs four CPUs."""
    searches.settle([WIDE, 8], resources={"cpu": 2})
    search = searches.start(num_cpus=4, num_gpus=0, HUNGRY_BELOW_CPUS="4")
    assert "at most 2 trials at a time; the cluster fits 2, each with 2 threads\n" in (
        searches.finish(search)
    )
    [event] = searches.records("infrastructure")
    assert (event.trial, event.resource, event.share) == (0, "cpu", 4.0)
    assert {r.state for r in searches.records("trial_ended")} == {"complete"}
    passes = searches.passes()
    assert {each["threads"] for each in passes} == {2}
    assert {each["cpus"] for each in passes if each["width"] == WIDE} == {2, 4}
    assert {each["cpus"] for each in passes if each["width"] < WIDE} == {2}
