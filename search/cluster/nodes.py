"""Ray on several machines, as Veer wants it: with a token, and no dashboard that others reach.

Nodes are started with `ray start`. Their processes carry a mark in their environment, by which
`stop_nodes` finds them: `ray stop` would end every Ray of this user, running searches too.
"""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ray

from search.cluster.connection import ENVIRONMENT, require_access, version_mismatch
from search.cluster.tokens import (
    TOKEN_PATH,
    Token,
    find_token,
    make_token,
    ray_environment,
    token_file,
)
from search.provenance.provenance import AUTH_MODE
from spaces.files.errors import ConfigError
from trainable.machine.cores import available_cores

RAY = (sys.executable, "-m", "ray.scripts.scripts")
# In the environment of every process of a node that Veer started: the cluster's address.
MARK = "VEER_CLUSTER"
# Likewise: the Python that Veer is installed for on this machine, which runs its jobs.
PYTHON_VARIABLE = "VEER_PYTHON"
LOOPBACK = "127.0.0.1"
# After SIGTERM, before SIGKILL.
STOP_WITHIN_S = 5.0
STOP_POLL_S = 0.1
# From the message of `ray start` where ray[default] is not installed.
NO_DASHBOARD = "Cannot include dashboard with missing packages"
LAST_LINES = 5
# Reserved for workers and drivers: --min-worker-port and --max-worker-port of `ray start`.
WORKER_PORTS = range(10002, 20000)
# The last line of a traceback, and what follows it.
RAISED = re.compile(r"^(?:\w+\.)*\w+Error: ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """The resources and the address with which a machine joins a cluster.

    Attributes:
        num_cpus: CPUs for trials, None for all that this process may use.
        num_gpus: GPUs for trials, None for all.
        host: Address at which other machines reach it, None for the one that Ray finds.
    """

    num_cpus: int | None = None
    num_gpus: int | None = None
    host: str | None = None

    def arguments(self) -> list[str]:
        """Return the options for `ray start`."""
        given = {
            # Any free one: Ray's fixed port would let one node a machine run jobs.
            "--dashboard-agent-listen-port": 0,
            # Ray's own count heeds neither the affinity nor Slurm.
            "--num-cpus": available_cores() if self.num_cpus is None else self.num_cpus,
            "--num-gpus": self.num_gpus,
            "--node-ip-address": self.host,
        }
        return [f"{name}={value}" for name, value in given.items() if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Where Ray's dashboard listens; it runs code on the cluster for anyone with the token."""

    host: str = LOOPBACK
    port: int = 8265

    def arguments(self) -> list[str]:
        """Return the options for `ray start`."""
        return [f"--dashboard-host={self.host}", f"--dashboard-port={self.port}"]


def start_head(port: int, node: NodeOptions, dashboard: Dashboard | None = None) -> str:
    """Start a cluster on this machine; it demands this user's token, made here if missing.

    Returns:
        The cluster's address, host and port.

    Raises:
        ConfigError: A port is taken or reserved for workers, or Ray does not start; with its
            message.
    """
    _require_free_of_workers("--port", port)
    _require_free(port)
    if dashboard is not None:
        _require_free_of_workers("--dashboard-port", dashboard.port)
    if find_token() is None:
        make_token()
    host = node.host or str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
    address = f"{host}:{port}"
    include = f"--include-dashboard={'false' if dashboard is None else 'true'}"
    where = [] if dashboard is None else dashboard.arguments()
    _ray_start(
        ["--head", f"--port={port}", include, *where, *node.arguments()],
        address,
        f"cannot start a cluster at {address}",
    )
    return address


def join_cluster(address: str, node: NodeOptions) -> Token:
    """Make this machine a node of a cluster.

    Args:
        address: Host and port, as `veer cluster head` prints them.
        node: The resources of this machine.

    Returns:
        The token that the cluster accepted.

    Raises:
        ConfigError: There is no token here or no cluster there, it demands another token, has
            another Ray or Python, or Ray does not start.
    """
    token = require_token()
    # Checked here first: `ray start` would retry for minutes.
    with ray_environment({AUTH_MODE: "token"}):
        require_access(address, token)
    _ray_start(
        [f"--address={address}", *node.arguments()], address, f"cannot join the cluster {address}"
    )
    return token


def require_token() -> Token:
    """Return this user's token.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    token = find_token()
    if token is None:
        raise ConfigError(
            f"this machine has no token ({token_file()} is missing): bring the cluster's here, as "
            "`veer cluster token` on the machine of `veer cluster head` prints, or start a "
            "cluster with `veer cluster head`"
        )
    return token


def stop_nodes(address: str | None = None) -> int:
    """End the nodes that Veer started on this machine, and no other Ray.

    Args:
        address: Only the node of this cluster.

    Returns:
        Number of processes that were ended.
    """
    started = node_processes(address)
    _signal(started, signal.SIGTERM)
    latest_s = time.monotonic() + STOP_WITHIN_S
    while (left := node_processes(address)) and time.monotonic() < latest_s:
        time.sleep(STOP_POLL_S)
    _signal(left, signal.SIGKILL)
    return len(started)


def _ray_start(arguments: Sequence[str], address: str, failing: str) -> None:
    own = {AUTH_MODE: "token", MARK: address, PYTHON_VARIABLE: sys.executable}
    # `ray start` runs in another folder, where a relative path would name another file.
    if TOKEN_PATH in os.environ:
        own[TOKEN_PATH] = str(token_file().absolute())
    done = subprocess.run(  # noqa: S603 - Ray's own command, with checked arguments
        [*RAY, "start", *arguments, "--disable-usage-stats"],
        env=ENVIRONMENT | os.environ | own,
        # `python -m` looks for modules in its working folder first: a numpy.py there would be run.
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    if NO_DASHBOARD in done.stdout:
        why = f"the dashboard needs more of Ray: pip install 'ray[default]=={ray.__version__}'"
    else:
        why = version_mismatch(done.stdout) or _last_error(done.stdout)
    raise ConfigError(f"{failing}: {why}")


def _require_free_of_workers(option: str, port: int) -> None:
    if port in WORKER_PORTS:
        raise ConfigError(
            f"{option} must be outside {WORKER_PORTS[0]} to {WORKER_PORTS[-1]}, which Ray keeps "
            f"for its workers, got {port}; try {'6379' if option == '--port' else '8265'}"
        )


def _require_free(port: int) -> None:
    """Refuse a taken port: Ray's own message is about sessions and core dumps instead."""
    with socket.socket() as probe:
        # The port of a cluster that was just stopped stays in TIME_WAIT for a minute, and may be
        # used; with a listener, `bind` fails all the same on Linux.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"--port {port} is taken: a cluster or another program listens there; "
                    "`veer cluster stop` ends a cluster that Veer started, or name another port"
                ) from error
            # Other errors, such as a port that only root may use, are reported by Ray.


def _last_error(output: str) -> str:
    """Return why `ray start` failed: the error's message, or the last lines without one."""
    raised = list(RAISED.finditer(output))
    text = output[raised[-1].end() :] if raised else output
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:LAST_LINES] if raised else lines[-LAST_LINES:])


def node_processes(address: str | None) -> list[int]:
    """Return the processes of this user that belong to a node that Veer started.

    Zombies are left out: their environment is empty.
    """
    wanted = re.escape(address.encode()) if address else rb"[^\0]*"
    mark = re.compile(rb"(?:^|\0)" + MARK.encode() + rb"=" + wanted + rb"\0")
    found = []
    for folder in Path("/proc").iterdir():
        # Another user's environment cannot be read; a process may end meanwhile.
        with suppress(OSError):
            if folder.name.isdigit() and mark.search((folder / "environ").read_bytes()):
                found.append(int(folder.name))
    # A command that is run inside a node's process inherits the mark.
    return [pid for pid in found if pid != os.getpid()]


def command_line(pid: int) -> bytes:
    """Return the words of a process's command line, each with a zero byte; empty of none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
