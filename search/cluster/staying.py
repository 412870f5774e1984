"""A node that stays in the foreground, and leaves its cluster with notice."""

import logging
import re
import time
from contextlib import suppress

from ray._raylet import GcsClient  # type: ignore[attr-defined]

from search.cluster.nodes import command_line, node_processes, stop_nodes
from search.cluster.signals import terminable
from search.cluster.tokens import ray_environment
from search.provenance.provenance import AUTH_MODE
from spaces.files.errors import ConfigError

STAY_POLL_S, LEAVE_POLL_S = 1.0, 0.1
# After notice; Kubernetes kills 30 s after SIGTERM by default.
LEAVE_WITHIN_S = 20.0
# Of Ray's `autoscaler.proto`: the machine is taken away, whatever runs on it.
PREEMPTION = 2
# In the command line of the process without which a machine is no node.
RAYLET = b"/raylet/raylet"
RAYLET_ID = re.compile(rb"/raylet/raylet\0.*--node_id=([0-9a-f]+)", re.DOTALL)

logger = logging.getLogger(__name__)


def stay(address: str, leave_within_s: float = LEAVE_WITHIN_S) -> None:
    """Wait as long as this machine is a node; at SIGTERM or Ctrl-C it leaves the cluster.

    The cluster gets notice first, so that a trial here ends its epoch and goes on elsewhere.

    Args:
        address: The cluster, host and port, as it was given when the node started.
        leave_within_s: Seconds that the trials have for it.

    Raises:
        ConfigError: The node ended by itself; what is left of it is ended too.
    """
    try:
        with terminable():
            while _is_node(address):
                time.sleep(STAY_POLL_S)
    except KeyboardInterrupt:
        _leave(address, leave_within_s)
        stop_nodes(address)
        return
    stop_nodes(address)
    raise ConfigError(
        f"this machine is no longer a node of {address}: `veer cluster stop` was run here, or the "
        "head has ended; start it again by the same command"
    )


def _leave(address: str, within_s: float) -> None:
    """Give notice to the cluster and wait until Ray has ended the idle node, at most so long."""
    found = [RAYLET_ID.search(command_line(pid)) for pid in node_processes(address)]
    ids = [each.group(1).decode() for each in found if each is not None]
    if not ids or within_s <= 0:
        return
    latest_s = time.monotonic() + within_s
    deadline_ms = round(1000 * (time.time() + within_s))
    try:
        with ray_environment({AUTH_MODE: "token"}):
            client = GcsClient(address=address)
            for node_id in ids:
                client.drain_node(node_id, PREEMPTION, "the machine was told to end", deadline_ms)
    # Any error of Ray: a head that is gone too; the node ends all the same.
    except Exception as error:  # noqa: BLE001 - see above
        logger.warning("%s: no notice could be given: %s", address, error)
        return
    with suppress(KeyboardInterrupt):  # a second signal ends the node at once
        while _is_node(address) and time.monotonic() < latest_s:
            time.sleep(LEAVE_POLL_S)


def _is_node(address: str) -> bool:
    return any(RAYLET in command_line(pid) for pid in node_processes(address))
