"""Trials that share GPUs which are only declared, in whole searches."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.journal.journal import read_journal
from results.records.record import Record
from results.tables.trials import trials_table
from spaces.files.yaml_file import write_yaml
from tests.search.real_search import wait_for
from tests.search.sharing_run import NET, WIDE

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

DEADLINE_S = 400
MAX_EPOCHS = 4
STEPS_AN_EPOCH = 3  # 30 utterances in batches of 8


class HungrySearch:
    """A search over the hungry student: a trial for each width and learning rate.

    Args:
        folder: Of space, settings, trace and run.
        world: See `build_tiny_world`.
        widths: Of the student.
        rates: Learning rates.
        student: Fixed parameters of the student.
        settings: More settings of the search.
    """

    def __init__(
        self,
        folder: Path,
        world: Path,
        widths: list[int],
        *,
        rates: Sequence[float] = (1e-3,),
        student: Mapping[str, Any] = MappingProxyType({}),
        **settings: Any,
    ) -> None:
        self.folder, self.run, self.trace = folder, folder / "run", folder / "trace"
        folder.mkdir()
        write_yaml(
            folder / "space.yaml",
            {
                "model": {
                    "family": "hungry.net:Net",
                    "embedding_dim": 32,
                    "width": {"choices": widths},
                    "trace": str(self.trace),
                    **student,
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
            "corpus": str(world / "corpus" / "corpus.yaml"),
            "space": "space.yaml",
            "sampler": "grid",
            "max_epochs": MAX_EPOCHS,
            "scheduler": {"kind": "none"},
            "benchmark_top": 0,
            "device": "cpu",
        }
        write_yaml(folder / "settings.yaml", defaults | settings)

    def passes(self) -> list[dict[str, Any]]:
        """Where each training pass ran, oldest first."""
        return [json.loads(line) for line in self.trace.read_text().splitlines()]

    def records(self, *events: str) -> list[Record]:
        """The journal's records of these events."""
        return [r for r in read_journal(self.run / "journal.jsonl") if r.event in events]


@dataclass(frozen=True, slots=True)
class Drivers:
    """Starts processes that lead searches; each start of Ray takes seconds."""

    folder: Path
    world: Path

    def start(
        self, *searches: HungrySearch, num_cpus: int, num_gpus: int
    ) -> subprocess.Popen[str]:
        """Start or resume the searches, one after the other on one Ray."""
        code = self.folder / "code" / "hungry"
        code.mkdir(parents=True, exist_ok=True)
        (code / "net.py").write_text(NET)
        arguments = {
            "folders": [str(each.folder) for each in searches],
            "code": str(code.parent),
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.search.sharing_run", json.dumps(arguments)],
            env=os.environ | {"VEER_CACHE": str(self.world / "cache")}, text=True,
            start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


def finish(driver: subprocess.Popen[str]) -> str:
    """Wait for the end and return the output."""
    out, _ = driver.communicate(timeout=DEADLINE_S)
    assert driver.returncode == 0, out
    return out


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Drivers:
    return Drivers(tmp_path_factory.mktemp("sharing"), tiny_world)


@dataclass(frozen=True, slots=True)
class OneGpu:
    """Searches that one process ran on a machine with a GPU and four CPUs.

    Attributes:
        killed: Killed once its trial was to have more of the GPU, and resumed by that process.
        num_before: Its passes before it was killed.
        whole: Of a trial that needs the whole GPU, and another.
        on_cpus: On CPUs alone.
        output: What the process printed.
    """

    killed: HungrySearch
    num_before: int
    whole: HungrySearch
    on_cpus: HungrySearch
    output: str


@pytest.fixture(scope="module")
def one_gpu(drivers: Drivers) -> OneGpu:
    """Three searches in two starts of Ray."""

    def search(name: str, widths: list[int], **settings: Any) -> HungrySearch:
        return HungrySearch(drivers.folder / name, drivers.world, widths, **settings)

    share, node = {"cpu": 1, "gpu": 0.25}, {"num_cpus": 4, "num_gpus": 1}
    killed = search("killed", [WIDE], student={"pause_s": 0.3}, resources=share)
    whole = search("whole", [WIDE, 8], resources=share)
    on_cpus = search("on-cpus", [WIDE, 8], student={"below_cpus": 4}, resources={"cpu": 2})
    first, journal = drivers.start(killed, **node), killed.run / "journal.jsonl"

    def is_between_two_shares() -> bool:
        assert first.poll() is None, "the search ended before it was killed"
        return journal.exists() and '"event":"infrastructure"' in journal.read_text()

    wait_for(is_between_two_shares, "a trial that needs more", DEADLINE_S)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=DEADLINE_S)
    [event] = killed.records("infrastructure")
    assert (event.trial, event.share) == (0, 0.5)
    num_before = len(killed.passes())
    output = finish(drivers.start(killed, whole, on_cpus, **node))
    return OneGpu(killed, num_before, whole, on_cpus, output)


def test_four_trials_on_two_gpus_are_two_on_each(drivers: Drivers) -> None:
    """A quarter of a GPU is enough for each, and Ray would put all of them on one."""
    search = HungrySearch(
        drivers.folder / "four", drivers.world, [8, 9], rates=(1e-3, 2e-3),
        student={"at_once": 4}, resources={"cpu": 4, "gpu": 0.25},
    )  # fmt: skip
    output = finish(drivers.start(search, num_cpus=16, num_gpus=2))
    assert "a trial gets 0.5 of a GPU, more than 0.25, as at most 4 run at once on" in output
    assert "at most 4 trials at a time; the cluster fits 4, each with 4 threads and 0.5 GPUs" in (
        output
    )
    passes = search.passes()
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
    placed = search.records("placed")
    assert {(each.num_cpus, each.num_gpus) for each in placed} == {(4, 0.5)}


def check_hungry_trial(search: HungrySearch) -> None:
    """Trial 0, the wide one, was given a half and then a whole GPU; all trials are complete."""
    trials = {r.trial for r in search.records("trial_started")}
    ended = search.records("trial_ended")
    assert {(r.trial, r.state) for r in ended} == {(n, "complete") for n in trials}
    events = search.records("infrastructure")
    assert [(r.trial, r.kind, r.resource, r.share) for r in events] == [
        (0, "out_of_memory", "gpu", 0.5),
        (0, "out_of_memory", "gpu", 1.0),
    ]
    # It ran out of memory in the epoch after each checkpoint that it had come to.
    assert [r.epoch for r in events] == [1, 2]
    assert all("Tried to allocate 2.00 GiB" in r.message for r in events)
    epochs = [(r.trial, r.epoch) for r in search.records("epoch")]
    assert sorted(epochs) == [(n, e) for n in trials for e in range(1, MAX_EPOCHS + 1)]


def test_trial_that_needs_a_whole_gpu_gets_one_and_disturbs_no_other(one_gpu: OneGpu) -> None:
    search = one_gpu.whole
    check_hungry_trial(search)
    assert {r.trial for r in search.records("trial_started")} == {0, 1}
    narrow = [each for each in search.passes() if each["width"] < WIDE]
    # Nothing of a neighbour was run twice.
    assert len(narrow) == MAX_EPOCHS * STEPS_AN_EPOCH
    assert {each["share"] for each in narrow} == {0.25}
    wide = [each["share"] for each in search.passes() if each["width"] == WIDE]
    assert set(wide) == {0.25, 0.5, 1.0}
    table = trials_table(RunView.read(search.run)).to_pylist()
    assert {row["trial"]: row["retries"] for row in table} == {0: 2, 1: 0}


def test_search_that_is_killed_between_two_shares_resumes_with_the_larger(
    one_gpu: OneGpu,
) -> None:
    assert one_gpu.killed.passes()[one_gpu.num_before]["share"] == 0.5
    check_hungry_trial(one_gpu.killed)


def test_trial_on_cpus_gets_twice_as_many_and_keeps_its_threads(one_gpu: OneGpu) -> None:
    """Both trials have two CPUs and compute with as many threads, until one needs four CPUs."""
    search = one_gpu.on_cpus
    expected = (
        "at most 2 trials at a time; the cluster fits 2, each with 2 threads; GPUs not used: 1,"
    )
    assert expected in one_gpu.output
    [event] = search.records("infrastructure")
    assert (event.trial, event.resource, event.share) == (0, "cpu", 4.0)
    assert {r.state for r in search.records("trial_ended")} == {"complete"}
    passes = search.passes()
    assert {each["threads"] for each in passes} == {2}
    assert {each["cpus"] for each in passes if each["width"] == WIDE} == {2, 4}
    assert {each["cpus"] for each in passes if each["width"] < WIDE} == {2}


def test_a_small_search_loads_no_library_that_only_some_figures_need(one_gpu: OneGpu) -> None:
    assert one_gpu.output.endswith("loaded:\n")
