"""Faults of trials, really injected, in searches on Ray."""

import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from results.analysis.run_view import RunView
from results.journal.journal import read_journal
from results.records.record import Record
from results.tables.trials import trials_table
from search.run.ending import SearchResult
from search.run.progress import SearchView
from search.run.run_search import run_search
from spaces.files.yaml_file import write_yaml

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.usefixtures("ray_here")]

# A student that follows an order in a training pass: `times what epoch`, in a file named after its
# width. The tests write these files.
NET = """
import errno
import os
import signal
import time
from pathlib import Path

import ray
import torch
from models import ModelOutput, SpeakerModel

ORDERS = Path({orders!r})
ILLEGAL = "CUDA error: an illegal memory access was encountered\\nCUDA kernel errors might be"

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim, width=8):
        super().__init__()
        self.embedding_dim = embedding_dim
        self.width = width
        self.num_passes = 0
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF, *, with_stages):
        if self.training and torch.is_grad_enabled():
            self.num_passes += 1
            if ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE:
                self.obey()
        x_BTC = torch.relu(self.up(norm_BTF))
        stages = (x_BTC,) if with_stages else ()
        return ModelOutput(self.embedding(x_BTC.mean(1)), stages, None)

    def obey(self):
        order = ORDERS / str(self.width)
        if not order.exists():
            return
        times, what, epoch = order.read_text().split()
        if times == "0" or self.num_passes < (5 if epoch == "fresh" else 2):  # 3 an epoch
            return
        order.write_text(f"{{int(times) - 1}} {{what}} restored")
        with open(ORDERS / "pids", "a") as out:
            out.write(f"{{os.getpid()}}\\n")
        match what:
            case "accelerator":
                raise torch.AcceleratorError(ILLEGAL)
            case "cuda":
                raise RuntimeError(ILLEGAL)
            case "bug":
                raise LookupError("no such thing at 0x7f")
            case "disk":
                raise OSError(errno.ENOSPC, "No space left on device", "/runs/x/model")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "sleep":
                time.sleep(1000)
            case "explode":
                with torch.no_grad():
                    self.up.weight.mul_(1e30)
                    self.embedding.weight.mul_(1e30)
"""


class Trouble:
    """Searches over students that meet faults."""

    def __init__(self, folder: Path, make_settings: Callable) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.orders = folder / "orders"
        self._make_settings = make_settings
        self.out = io.StringIO()

    def order(self, width: int, what: str, times: int = 1) -> None:
        """Has the trial of this width meet a fault so many times, in its second epoch."""
        (self.orders / str(width)).write_text(f"{times} {what} fresh")

    def search(self, widths: list[int], name: str = "run", **overrides) -> SearchResult:
        """A grid over the widths, 3 epochs each, one trial after the other."""
        space = {
            "model": {
                "family": "troubled.net:Net",
                "embedding_dim": 32,
                "width": {"choices": widths},
            },
            "loss": {"distillation": "none"},
            "training": {"batch_size": 8, "crop_frames": 40},
        }
        write_yaml(self.folder / "space.yaml", space)
        settings = self._make_settings(
            space=str(self.folder / "space.yaml"), sampler="grid", num_trials=len(widths),
            scheduler__kind="none", **overrides,
        )  # fmt: skip
        self.run = self.folder / name
        return run_search(settings, self.run, SearchView(Console(file=self.out, width=200)))

    def story(self, *events: str) -> list[Record]:
        return [
            record
            for record in read_journal(self.run / "journal.jsonl")
            if record.event in events
        ]

    def faults(self) -> list[tuple[int, str, int]]:
        """Trial, kind and epoch of each fault."""
        return [(r.trial, r.kind, r.epoch) for r in self.story("infrastructure")]

    def epochs(self) -> list[tuple[int, int]]:
        """Trial and epoch of each report, without repetition or gap."""
        return [(record.trial, record.epoch) for record in self.story("epoch")]

    def states(self) -> dict[int, str]:
        return {record.trial: record.state for record in self.story("trial_ended")}

    def placed_pids(self, trial: int) -> list[int]:
        return [r.pid for r in self.story("placed") if r.trial == trial]

    def pids(self) -> list[int]:
        return [int(line) for line in (self.orders / "pids").read_text().split()]


@pytest.fixture
def trouble(make_settings, own_code, tmp_path) -> Trouble:
    (tmp_path / "orders").mkdir()
    own_code("troubled.net", NET.format(orders=str(tmp_path / "orders")))
    return Trouble(tmp_path, make_settings)


def all_of(*trials: int) -> list[tuple[int, int]]:
    return [(trial, epoch) for trial in trials for epoch in (1, 2, 3)]


# Width, order, kind of the fault and a part of its message.
FAULTS = [
    (9, "accelerator", "device_error", "AcceleratorError: CUDA error: an illegal memory access"),
    (10, "cuda", "device_error", "RuntimeError: CUDA error: an illegal memory access"),
    (11, "bug", "error", "LookupError: no such thing at 0x7f"),
    (12, "kill", "worker_lost", "its worker process has died"),
]


def test_fault_costs_no_epoch_and_its_process_is_not_used_again(trouble):
    """After the faults one trial diverges, whose process is as good as any other."""
    for width, what, _, _ in FAULTS:
        trouble.order(width, what)
    trouble.order(13, "explode")
    assert trouble.search([9, 10, 11, 12, 13, 14]).reason == "finished"
    assert trouble.faults() == [(n, kind, 1) for n, (_, _, kind, _) in enumerate(FAULTS)]
    messages = [record.message for record in trouble.story("infrastructure")]
    for message, (_, _, _, expected) in zip(messages, FAULTS, strict=True):
        assert expected in message
    assert sorted(trouble.epochs()) == [*all_of(0, 1, 2, 3), (4, 1), *all_of(5)]
    states = trouble.states()
    assert states.pop(4) == "diverged"
    assert set(states.values()) == {"complete"}
    placed = [(r.trial, r.epoch, r.pid) for r in trouble.story("placed")]
    restarts = [place for trial in range(4) for place in ((trial, 0), (trial, 1))]
    assert [each[:2] for each in placed] == [*restarts, (4, 0), (5, 0)]
    # A process is used until it meets a fault: by the trial that is run again, and by the next.
    pids = [each[2] for each in placed]
    assert pids[::2][:4] == trouble.pids()[:4]
    assert [one == other for one, other in itertools.pairwise(pids)] == [
        False, True, False, True, False, True, False, True, True
    ]  # fmt: skip

    rows = {row["trial"]: row for row in trials_table(RunView.read(trouble.run)).to_pylist()}
    [first] = [r.veer_pct for r in trouble.story("epoch") if r.trial == 4]
    assert (rows[4]["veer_pct"], rows[4]["best_epoch"], rows[4]["rank"]) == (first, 1, None)
    assert "in epoch 2; lower training.lr (now 0.001)" in rows[4]["reason"]


def test_trial_that_dies_again_and_again_fails_and_its_neighbours_do_not_notice(trouble):
    trouble.order(9, "kill", times=100)
    trouble.search([9, 10, 11], max_concurrent=2, faults__retries=1)
    assert trouble.faults() == [(0, "worker_lost", 1)] * 2
    assert trouble.states() == {0: "failed", 1: "complete", 2: "complete"}
    assert sorted(trouble.epochs()) == [(0, 1), *all_of(1, 2)]
    [reason] = [r.reason for r in trouble.story("trial_ended") if r.trial == 0]
    assert reason.startswith("2 faults without a finished epoch in between (2 worker lost), the l")
    table = trials_table(RunView.read(trouble.run)).to_pylist()
    [row] = [row for row in table if row["trial"] == 0]
    assert (row["state"], row["reason"]) == ("failed", reason)
    output = trouble.out.getvalue()
    assert "trial 0: its process died after epoch 1; run again (1 of 1)" in output
    assert "trial 0: its process died after epoch 1; it has failed" in output


def test_process_that_hangs_is_killed_and_the_trial_goes_on(trouble):
    trouble.order(10, "stop")
    trouble.order(11, "sleep")
    hangs = {"faults__hang_floor_s": 3.0, "faults__hang_factor": 1.5}
    trouble.search([9, 10, 11], **hangs)
    assert trouble.faults() == [(1, "hung", 1), (2, "hung", 1)]
    assert sorted(trouble.epochs()) == all_of(0, 1, 2)
    assert set(trouble.states().values()) == {"complete"}
    for pid in trouble.pids():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_search_that_is_halted_by_faults_resumes_once_they_are_mended(trouble):
    """First many trials fail; then the disk is full, which is no trial's failure."""
    for width in (9, 10):
        trouble.order(width, "bug", times=100)
    trouble.order(11, "disk")
    few = {"faults__retries": 0, "faults__min_failed": 2}
    result = trouble.search([9, 10, 11, 12], **few)
    assert result.reason == "failing"
    assert result.message == (
        "2 of 2 trials failed, the most frequent reason first:\n"
        "  2 trials (0, 1): a fault without a finished epoch in between (1 error), the last: "
        "LookupError: no such thing at 0x7f"
    )
    assert trouble.states() == {0: "failed", 1: "failed"}
    result = trouble.search([9, 10, 11, 12], **few)
    assert result.reason == "disk_full"
    assert "No space left on device: '/runs/x/model'" in result.message
    assert trouble.states() == {0: "failed", 1: "failed"}
    assert [trial for trial, *_ in trouble.faults()] == [0, 1]
    assert trouble.search([9, 10, 11, 12], **few).reason == "finished"
    assert trouble.states() == {0: "failed", 1: "failed", 2: "complete", 3: "complete"}
    assert sorted(trouble.epochs()) == [(0, 1), (1, 1), *all_of(2, 3)]
