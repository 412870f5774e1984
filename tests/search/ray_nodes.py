"""A Ray cluster whose nodes are processes on this machine, each of which can be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

TOKEN = "0123456789abcdef" * 4
WITH_TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
DEADLINE_S = 120
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


def free_port() -> int:
    """A TCP port of this machine that no process listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def processes_of(session: int) -> list[int]:
    """The processes of a session (that a `start_new_session` began), zombies left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found


class RayNode:
    """One node: `ray start --block` and all that it starts, in a session of its own.

    Args:
        options: Of `ray start`.
        environment: In place of this process's.
    """

    def __init__(self, options: Sequence[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*RAY, "start", *options, "--object-store-memory=100000000", "--block",
             "--include-log-monitor=false"],
            env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wait_until_started(self) -> None:
        """Return once the node is part of the cluster."""
        assert self.process.stdout is not None
        output = ""
        while "Ray runtime started" not in output:
            output += (read := self.process.stdout.readline())
            assert read, output

    def pids(self) -> list[int]:
        """All of the node's processes: raylet, agents, workers."""
        return processes_of(self.process.pid)

    def owns(self, pid: int) -> bool:
        """Whether a process is one of this node's: a trial's `place` names its pid."""
        return pid in self.pids()

    def kill(self) -> None:
        """SIGKILL to all of the node's processes at once, as if its power were cut."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the node as `ray stop` does, and kill the processes that do not end in time."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # What is killed may be starting another process.
        deadline_s = time.monotonic() + DEADLINE_S
        while pids := self.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            assert time.monotonic() < deadline_s, f"these do not end: {pids}"
            time.sleep(0.01)
        self.process.communicate(timeout=DEADLINE_S)


class RayNodes:
    """A cluster; its first node is the head.

    Attributes:
        address: What to give to `--address`.
        nodes: Its nodes, dead ones too.
        environment: Of its nodes, and what a driver needs to get in.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.nodes: list[RayNode] = []
        self.environment = environment

    def add(self, num_cpus: int = 1, **environment: str) -> RayNode:
        """Start a node and return once it has joined.

        Args:
            num_cpus: That Ray may give away there.
            environment: On top of the cluster's.
        """
        where = (
            [f"--address={self.address}"]
            if self.nodes
            else ["--head", f"--port={self._port}", "--include-dashboard=false"]
        )
        node = RayNode(
            [*where, f"--num-cpus={num_cpus}"], os.environ | self.environment | environment
        )
        self.nodes.append(node)
        node.wait_until_started()
        return node

    def node_of(self, pid: int) -> RayNode:
        """The node that a process runs on."""
        return next(node for node in self.nodes if node.owns(pid))


@contextmanager
def ray_nodes(num_cpus: Sequence[int] = (1, 1), **environment: str) -> Iterator[RayNodes]:
    """A cluster that demands `TOKEN`, as long as the context lasts.

    Args:
        num_cpus: Of each node, the head's first.
        environment: More of what every node gets.
    """
    cluster = RayNodes(WITH_TOKEN | environment)
    try:
        for one in num_cpus:
            cluster.add(one)
        yield cluster
    finally:
        for node in reversed(cluster.nodes):
            node.stop()
