"""The way into a Ray cluster, or to a Ray of this process's own.

A Ray of this process's own demands a random token for as long as it runs. A cluster is shown
`$RAY_AUTH_TOKEN`, or what the person's token file holds; without that it is refused at once, where
it demands one.
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

from search.cluster.signals import keeping_sigterm
from search.cluster.tokens import (
    Token,
    find_token,
    keep_from_others,
    of_a_cluster,
    of_this_process,
    ray_told,
)
from search.provenance.provenance import MODE
from spaces.files.errors import ConfigError

OBJECT_STORE_BYTES = 128 * 2**20
ANSWER_TIMEOUT_S = 5.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's 15 starves trials beside any other work on the same cores.
    "RAY_worker_niceness": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # With the new output Tune prints even where verbose is 0.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Else Tune itself runs a trial again whose node was taken away.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    # Tune's own snapshots are not used: the journal is what a resume starts from.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
}
MAX_PORT, MAX_PORT_DIGITS = 65535, 5
MAX_SHOWN = 80
# As Ray words it, in `ray.init` and in `ray start`.
MISMATCH = re.compile(
    r"Version mismatch: The cluster was started with:\s+Ray: (\S+)\s+Python: (\S+)\s+"
    r"This process .*? was started with:\s+Ray: (\S+)\s+Python: (\S+)",
    re.DOTALL,
)

logger = logging.getLogger(__name__)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for a while; what the person has set stands."""
    added = [name for name in variables if name not in os.environ]
    os.environ.update({name: variables[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def connected(address: str | None, **options: Any) -> Iterator[None]:
    """Connects to a Ray cluster, or starts one for this process; a connection that is there stays.

    A Ray of this process's own demands a token that only it and its workers know; nothing of it
    is left behind. A cluster is shown the person's token, where there is one.

    Args:
        address: The cluster's, None to start one.
        options: More of `ray.init`'s.

    Raises:
        ConfigError: Ray cannot be started or joined.
    """
    with environment(ENVIRONMENT), tempfile.TemporaryDirectory(prefix="veer-ray-") as nowhere:
        if ray.is_initialized():
            yield
            return
        token = None if address is None else _token()
        with ray_told(of_this_process() if address is None else of_a_cluster(token)):
            # Ray puts the folder that it is started in first on its workers' path: a numpy.py
            # beside the person's corpus would be run there. Workers start there too, so it must
            # last.
            with chdir(nowhere), keeping_sigterm():
                _init(address, token, options)
            try:
                yield
            finally:
                ray.shutdown()


def check_entry(address: str) -> None:
    """Refuses a cluster that this person cannot join, without joining it: nothing is left there.

    Raises:
        ConfigError: Nobody answers there, or not to this person's token.
    """
    if not ray.is_initialized():
        token = _token()
        with ray_told(of_a_cluster(token)):
            require_entry(address, token)


def mismatch(said: str) -> str | None:
    """Ray's refusal of another Ray or Python in Veer's words, None where it says no such thing."""
    found = MISMATCH.search(said)
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
        require_entry(address, token)
    own: dict[str, Any] = (
        {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        if address is None
        else {}
    )
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(own | options),
        )
    except Exception as error:  # Ray raises a bare one where it does not come up in time
        ray.shutdown()
        if isinstance(error, AuthenticationError):
            raise ConfigError(_refused(address or "local", token)) from error
        where = "start Ray on this machine" if address is None else f"join Ray at {address!r}"
        raise ConfigError(
            f"cannot {where}: {mismatch(str(error)) or error}{_fix(error)}"
        ) from error


def _fix(error: Exception) -> str:
    if "timed out" in str(error):
        return "; a machine that is busy takes too long: the same command again may do"
    return ""


def _host_and_port(address: str) -> tuple[str, int] | None:
    """None for the other forms that Ray takes, such as `auto`.

    Raises:
        ConfigError: The port is none.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host:
        return None
    is_number = port.isascii() and port.isdigit() and len(port) <= MAX_PORT_DIGITS
    if not is_number or not 1 <= int(port) <= MAX_PORT:
        raise ConfigError(
            f"cannot join Ray at {address[:MAX_SHOWN]!r}: the port must be a number from 1 to "
            f"{MAX_PORT}; `veer cluster head` prints a cluster's address"
        )
    return host, int(port)


def _require_answer(address: str, place: tuple[str, int]) -> None:
    """Refuses at once what Ray would wait minutes for."""
    try:
        socket.create_connection(place, timeout=ANSWER_TIMEOUT_S).close()
    except (OSError, ValueError) as error:  # also a name that cannot be one: UnicodeError
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"cannot join Ray at {address!r}: {reason}; start a cluster with "
            "`veer cluster head`, which prints its address, or leave out --address"
        ) from error


def require_entry(address: str, token: Token | None) -> None:
    """Refuses at once what Ray itself would try for long; other forms than host and port pass.

    Raises:
        ConfigError: Nobody answers there, or not to this token.
    """
    if (place := _host_and_port(address)) is None:
        return
    _require_answer(address, place)
    try:
        with _silent_stderr():
            GcsClient(address=address)
    except AuthenticationError as error:
        raise ConfigError(_refused(address, token)) from error
    except (RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot join Ray at {address!r}: something answers there that is not a Ray cluster "
            f"({str(error).strip()}); `veer cluster head` prints a cluster's address"
        ) from error


def _refused(address: str, token: Token | None) -> str:
    mode = os.environ.get(MODE)
    if token is None:
        why = "it demands a token, and this machine has none"
    elif mode is not None and mode.lower() != "token":
        why = f"it demands a token, and {MODE}={mode} keeps this process from showing one"
    else:
        why = f"it demands another token than that of {token.place}"
    return (
        f"cannot join Ray at {address!r}: {why}; on the machine of `veer cluster head`, "
        "`veer cluster token` says how to bring the cluster's token here"
    )


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps from the screen what Ray's C++ writes; its exceptions say the same."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as nowhere:
        before = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
