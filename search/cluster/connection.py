"""The connection to a Ray cluster, or to a local Ray that this process starts.

A local Ray demands a random token for as long as it runs. To a cluster this process presents
`$RAY_AUTH_TOKEN`, or the token in the user's token file. Without a token, a cluster that demands
one is refused at once.
"""

import logging
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from typing import Any

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError, RayError

from search.cluster.helpers import without_helpers
from search.cluster.signals import keeping_sigterm
from search.cluster.tokens import (
    Token,
    cluster_variables,
    find_token,
    keep_from_others,
    own_ray_variables,
    ray_environment,
)
from search.provenance.provenance import AUTH_MODE
from spaces.files.errors import ConfigError
from trainable.machine.cores import available_cores

# Trials pass only small settings through Ray; its default is 30 % of the machine's memory.
OBJECT_STORE_BYTES = 128 * 2**20
# A listener in the same network answers in milliseconds; a wrong address may never answer.
ANSWER_TIMEOUT_S = 5.0
ENVIRONMENT = {
    # Nothing is sent from the user's machine to others.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's default of 15 starves trials next to any other work on the same cores.
    "RAY_worker_niceness": "0",
    # By default a local Ray starts a Python process for each CPU, whether it is used or not.
    "RAY_prestart_worker_first_driver": "0",
    # Otherwise a worker's relative paths would count from Tune's folder of the trial.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # With its new output, Tune prints even with verbose=0.
    "RAY_AIR_NEW_OUTPUT": "0",
    # They write result files for every trial; the journal has the results.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C is handled by `search.cluster.signals.Interrupts`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Otherwise Tune itself restarts a trial whose node was preempted, on top of Veer's retries.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    # Tune's own snapshots are not used: a resumed search starts from the journal.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
}
# Ray reads it with the first connection of a process. By default it is 30 s, which a user with a
# wrong port would wait for.
PATIENCE = {"RAY_py_gcs_connect_timeout_s": "10"}
MAX_PORT, MAX_PORT_DIGITS = 65535, 5
# An address is quoted in a message, and may be any text that the user pasted.
MAX_ADDRESS_CHARS = 80
# Ray's message, the same in `ray.init` and in `ray start`.
MISMATCH = re.compile(
    r"Version mismatch: The cluster was started with:\s+Ray: (\S+)\s+Python: (\S+)\s+"
    r"This process .*? was started with:\s+Ray: (\S+)\s+Python: (\S+)",
    re.DOTALL,
)

logger = logging.getLogger(__name__)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block; those that are already set stay as they are."""
    added = [name for name in variables if name not in os.environ]
    os.environ.update({name: variables[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def connected(address: str | None, **options: Any) -> Iterator[None]:
    """Connect to a Ray cluster, or start a local Ray; an existing connection is kept.

    A local Ray demands a token that only this process and its workers know, and leaves nothing
    behind. To a cluster the user's token is presented, if there is one.

    Args:
        address: The cluster's address, None to start a local Ray.
        options: Further arguments of `ray.init`.

    Raises:
        ConfigError: Ray cannot be started or joined.
    """
    with environment(ENVIRONMENT), tempfile.TemporaryDirectory(prefix="veer-ray-") as nowhere:
        # Also not shut down at the end: it belongs to the caller.
        if ray.is_initialized():
            yield
            return
        token = None if address is None else _token()
        with ray_environment(own_ray_variables() if address is None else cluster_variables(token)):
            # Ray puts the folder that it is started in first on its workers' module path: a
            # numpy.py next to the user's corpus would be run there. Workers start in that folder
            # too, so it must exist as long as the connection.
            with chdir(nowhere), keeping_sigterm():
                _init(address, token, options)
            try:
                yield
            finally:
                ray.shutdown()


def require_joinable(address: str) -> None:
    """Refuse a cluster that this user cannot join, without joining it.

    Raises:
        ConfigError: No Ray answers at this address, or it refuses this user's token.
    """
    if not ray.is_initialized():
        token = _token()
        with ray_environment(cluster_variables(token)):
            require_access(address, token)


def version_mismatch(message: str) -> str | None:
    """Return Ray's refusal of another Ray or Python, in Veer's words.

    Args:
        message: Any error message of Ray; None is returned if it is about something else.
    """
    found = MISMATCH.search(message)
    if found is None:
        return None
    theirs, ours = found.groups()[:2], found.groups()[2:]
    pairs = zip(("ray", "python"), theirs, ours, strict=True)
    differences = "; ".join(
        f"the cluster has {name} {there}, this machine {here}"
        for name, there, here in pairs
        if there != here
    )
    return f"{differences}; install the same Python and the same Veer on all machines"


def _token() -> Token | None:
    token = find_token()
    if token is not None and (remark := keep_from_others(token)) is not None:
        logger.warning(remark)
    return token


def _init(address: str | None, token: Token | None, options: dict[str, Any]) -> None:
    if address is not None:
        require_access(address, token)
    own: dict[str, Any] = (
        {
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            # Ray's own count heeds neither the affinity nor Slurm.
            "num_cpus": available_cores(),
        }
        if address is None
        else {}
    )
    try:
        with without_helpers():
            ray.init(
                address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own | options),
            )
    except Exception as error:  # Ray raises a bare Exception where it does not start in time
        # A failed start may leave Ray's processes behind, and `is_initialized` true.
        ray.shutdown()
        if isinstance(error, AuthenticationError):
            raise ConfigError(_refused(address or "local", token)) from error
        where = "start Ray on this machine" if address is None else f"join Ray at {address!r}"
        raise ConfigError(
            f"cannot {where}: {version_mismatch(str(error)) or error}{_fix(error)}"
        ) from error


def _fix(error: Exception) -> str:
    if "timed out" in str(error):
        return "; a machine that is busy takes too long: the same command again may do"
    return ""


def _host_and_port(address: str) -> tuple[str, int] | None:
    """Split an address; return None for the other forms that Ray accepts, such as `auto`.

    Raises:
        ConfigError: The port is not a number from 1 to `MAX_PORT`.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host:
        return None
    is_number = port.isascii() and port.isdigit() and len(port) <= MAX_PORT_DIGITS
    if not is_number or not 1 <= int(port) <= MAX_PORT:
        raise ConfigError(
            f"cannot join Ray at {address[:MAX_ADDRESS_CHARS]!r}: the port must be a number from "
            f"1 to {MAX_PORT}; `veer cluster head` prints a cluster's address"
        )
    return host, int(port)


def _require_answer(address: str, host_and_port: tuple[str, int]) -> None:
    """Refuse an address without a listener at once; Ray itself would wait for minutes."""
    try:
        socket.create_connection(host_and_port, timeout=ANSWER_TIMEOUT_S).close()
    except (OSError, ValueError) as error:  # UnicodeError: no valid host name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"cannot join Ray at {address!r}: {reason}; start a cluster with "
            "`veer cluster head`, which prints its address, or leave out --address"
        ) from error


def require_access(address: str, token: Token | None) -> None:
    """Refuse at once a cluster that does not let this token in; Ray itself would try for minutes.

    An address that is not host and port is not checked.

    Raises:
        ConfigError: No Ray answers at this address, or it refuses this token.
    """
    if (host_and_port := _host_and_port(address)) is None:
        return
    _require_answer(address, host_and_port)
    try:
        with environment(PATIENCE), _silent_stderr():
            GcsClient(address=address)
    except AuthenticationError as error:
        raise ConfigError(_refused(address, token)) from error
    except (RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot join Ray at {address!r}: something answers there that is not a Ray cluster "
            f"({str(error).strip()}); `veer cluster head` prints a cluster's address"
        ) from error


def _refused(address: str, token: Token | None) -> str:
    mode = os.environ.get(AUTH_MODE)
    if token is None:
        why = "it demands a token, and this machine has none"
    elif mode is not None and mode.lower() != "token":
        why = f"it demands a token, and {AUTH_MODE}={mode} keeps this process from showing one"
    else:
        why = f"it demands another token than that of {token.source}"
    return (
        f"cannot join Ray at {address!r}: {why}; on the machine of `veer cluster head`, "
        "`veer cluster token` prints how to bring the cluster's token here"
    )


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep the messages of Ray's C++ code off the screen; its exceptions contain the same text."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as nowhere:
        # The descriptor, not `sys.stderr`: C++ code writes past Python's object.
        before = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
