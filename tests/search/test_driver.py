"""Whole searches in processes of their own: signals, a cluster to join."""

import json
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
from search.driver import Interrupts
from spaces.errors import ConfigError

RAY = Path(sys.executable).with_name("ray")
VEER = [sys.executable, "-c", "from search.cli.app import main; main()"]
TIMING = {"time_s", "train_s", "eval_s", "samples_per_s"}
DEADLINE_S = 120


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


def start(tiny_world: Path, run: Path, *options: str, **popen) -> subprocess.Popen:
    """Starts `veer search` with 3 trials of 8 epochs, one at a time."""
    command = [
        *VEER, "search", "demo", "--run", str(run), "--space", str(tiny_world / "space.yaml"),
        "--corpus", str(tiny_world / "corpus" / "corpus.yaml"),
        "--teacher", str(tiny_world / "teacher"), "--trials", "3", "--max-epochs", "8",
        "--max-concurrent", "1", "--scheduler", "none", *options,
    ]  # fmt: skip
    environment = os.environ | {"VEER_CACHE": str(tiny_world / "cache"), "COLUMNS": "200"}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, **popen,
    )  # fmt: skip


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
    with start(tiny_world, tmp_path / "whole") as whole, start(tiny_world, tmp_path / "run") as run:
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
        assert f"veer search --resume {tmp_path / 'run'}" in out
        assert "Traceback" not in out
    assert 10 <= epochs_of(tmp_path / "run") < 24
    again = subprocess.run(
        [*VEER, "search", "--resume", str(tmp_path / "run")],
        env=os.environ | {"VEER_CACHE": str(tiny_world / "cache"), "COLUMNS": "200"},
        capture_output=True, text=True, check=False, timeout=DEADLINE_S,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert story(tmp_path / "run") == story(tmp_path / "whole")


@pytest.fixture
def two_nodes(tmp_path) -> Iterator[str]:
    """A cluster of two nodes with one CPU each; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats", "--block"]
    head = ["--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false"]
    nodes = []
    try:
        for options in ([*head, "--node-ip-address=127.0.0.1"], [f"--address={address}"]):
            node = subprocess.Popen(
                [RAY, "start", *options, *common], start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            nodes.append(node)
            wait_for(lambda: node.poll() is not None or is_up(address), "Ray's head node")
        yield address
    finally:
        for node in reversed(nodes):
            os.killpg(node.pid, signal.SIGTERM)
            node.wait(DEADLINE_S)


def is_up(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.cluster
@pytest.mark.slow
def test_search_joins_a_cluster_of_two_nodes(tiny_world, tmp_path, two_nodes):
    run = tmp_path / "run"
    with start(tiny_world, run, "--address", two_nodes, "--max-concurrent", "2") as search:
        out, _ = search.communicate(timeout=DEADLINE_S)
    assert search.returncode == 0, out
    assert "at most 2 trials at a time; the cluster fits 2" in out
    # One CPU a node: two trials at a time took both.
    events = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    first_end = next(i for i, record in enumerate(events) if record["event"] == "trial_ended")
    assert {r["trial"] for r in events[:first_end] if r["event"] == "epoch"} == {0, 1}


@pytest.mark.cluster
@pytest.mark.slow
def test_cluster_that_is_not_there_is_an_error():
    code = "from search.driver import connected\nwith connected('127.0.0.1:9'): pass"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert f"{ConfigError.__module__}.ConfigError: cannot join Ray at '127.0.0.1:9'" in done.stderr
