"""Whole searches in processes of their own: signals, a cluster to join."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.journal import read_journal
from search.driver import Interrupts, connected
from spaces.errors import ConfigError
from spaces.yaml_file import write_yaml

RAY = Path(sys.executable).with_name("ray")
VEER = [sys.executable, "-c", "from search.cli.app import main; main()"]
TIMING = {
    "time_s",
    "train_s",
    "eval_s",
    "samples_per_s",
    "peak_memory_mib",
    "overhead_share",
}
DEADLINE_S = 120
WITH_TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}


def story(folder: Path) -> list[dict]:
    return [
        {k: v for k, v in record.items() if k not in TIMING}
        for record in read_journal(folder / "journal.jsonl")
        if record["event"] in ("trial_started", "epoch", "trial_ended")
    ]


def wait_for(condition, what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.02)


def start(tiny_world: Path, run: Path, *options: str, **environment: str) -> subprocess.Popen:
    """Starts `veer search` with 3 trials of 8 epochs, one at a time."""
    settings = run.with_suffix(".yaml")
    write_yaml(
        settings,
        {
            "corpus": str(tiny_world / "corpus" / "corpus.yaml"),
            "teacher": str(tiny_world / "teacher"),
            "space": str(tiny_world / "space.yaml"),
            "num_trials": 3,
            "max_epochs": 8,
            "max_concurrent": 1,
            "scheduler": {"kind": "none"},
            "benchmark_top": 0,
        },
    )
    return subprocess.Popen(
        [*VEER, "search", str(settings), "--run", str(run), *options],
        env=veer_environment(tiny_world) | environment,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def veer_environment(tiny_world: Path) -> dict[str, str]:
    return os.environ | {"VEER_CACHE": str(tiny_world / "cache"), "COLUMNS": "200"}


def epochs_of(run: Path) -> int:
    journal = run / "journal.jsonl"
    return journal.read_text().count('"event":"epoch"') if journal.exists() else 0


class TestInterrupts:
    def test_first_is_gentle_second_urgent_third_pythons_own(self):
        heard = []
        before = signal.getsignal(signal.SIGINT)
        with Interrupts(lambda: heard.append("first"), lambda: heard.append("second")) as ctrl_c:
            os.kill(os.getpid(), signal.SIGINT)
            assert (heard, ctrl_c.is_urgent) == (["first"], False)
            os.kill(os.getpid(), signal.SIGINT)
            assert (heard, ctrl_c.is_urgent) == (["first", "second"], True)
            with pytest.raises(KeyboardInterrupt, match=r"^$"):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-c twice", "sigkill"])
def test_ended_search_goes_on_to_the_same_end(tiny_world, tmp_path, how):
    with (
        start(tiny_world, tmp_path / "whole") as whole,
        start(tiny_world, tmp_path / "run") as run,
    ):
        wait_for(lambda: epochs_of(tmp_path / "run") >= 10, "the second trial's second epoch")
        if how == "sigkill":
            os.killpg(run.pid, signal.SIGKILL)
        else:
            os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to the whole group
            if how == "ctrl-c twice":
                os.killpg(run.pid, signal.SIGINT)
        out, _ = run.communicate(timeout=DEADLINE_S)
        whole.communicate(timeout=DEADLINE_S)
    assert whole.returncode == 0
    if how != "sigkill":
        assert run.returncode == 130, out
        assert f"veer resume {tmp_path / 'run'}" in out
        assert "Traceback" not in out
    assert 10 <= epochs_of(tmp_path / "run") < 24
    again = subprocess.run(
        [*VEER, "resume", str(tmp_path / "run")],
        env=veer_environment(tiny_world), timeout=DEADLINE_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert story(tmp_path / "run") == story(tmp_path / "whole")


@pytest.fixture
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes with one CPU each that demands a token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--block"]
    nodes = []
    try:
        for options in (
            ["--head", f"--port={port}", "--include-dashboard=false"],
            [f"--address=127.0.0.1:{port}"],
        ):
            node = subprocess.Popen(
                [RAY, "start", *options, *common], env=os.environ | WITH_TOKEN, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            nodes.append(node)
            assert node.stdout is not None
            said = ""
            while "Ray runtime started" not in said:
                said += (read := node.stdout.readline())
                assert read, said
        yield f"127.0.0.1:{port}"
    finally:
        for node in nodes:
            os.killpg(node.pid, signal.SIGTERM)
        for node in nodes:
            node.communicate(timeout=DEADLINE_S)


@pytest.mark.cluster
@pytest.mark.slow
def test_search_joins_a_cluster_of_two_nodes(tiny_world, tmp_path, two_nodes):
    run = tmp_path / "run"
    options = f"--address {two_nodes} --max-concurrent 2 --max-epochs 120 --trials 4".split()
    with start(tiny_world, run, *options, **WITH_TOKEN) as search:
        out, _ = search.communicate(timeout=DEADLINE_S)
    assert search.returncode == 0, out
    assert "at most 2 trials at a time; the cluster fits 2" in out
    # One CPU a node: trials whose epochs mingle ran on two.
    order = [record["trial"] for record in story(run) if record["event"] == "epoch"]
    assert len(order) == 4 * 120
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > 3, "one trial after the other"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-host.invalid:6379"])
def test_cluster_that_is_not_there_is_an_error(address):
    message = rf"cannot join Ray at '{address}': .*ray start --head"
    with pytest.raises(ConfigError, match=message), connected(address):
        pass
