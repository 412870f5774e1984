"""Searches as jobs of a Ray cluster, sent through its job server.

The server belongs to the cluster's dashboard (`veer cluster head --dashboard`). A job runs on the
head, whether or not the machine that sent it is still there.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from search.cluster.tokens import cluster_variables, find_token, keep_from_others, ray_environment
from search.jobs.command import JobCommand, fetch_entrypoint
from search.jobs.sent_files import write_files
from spaces.files.errors import ConfigError, RunError

SERVER_VARIABLE = "RAY_API_SERVER_ADDRESS"
DEFAULT_SERVER = "http://127.0.0.1:8265"
RUN = "veer_run"  # a key of a job's metadata
# Ray's own 3 s are not enough for a search to end its trials.
STOP_WITHIN_S = 60
FETCH_WITHIN_S = 300.0
# From the server's message while its node is still starting.
NO_AGENT, AGENT_WITHIN_S = "No available agent", 60.0
ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
POLL_S = 1.0
TOLD_AGAIN_S = 60.0


class JobServer:
    """The job server of a cluster.

    Args:
        url: Its address, such as http://127.0.0.1:8265.
        make_client: Makes the client of the server; Ray's unless a test gives another.

    Raises:
        ConfigError: No server answers there, it demands another token, or this machine lacks a
            package.
    """

    def __init__(self, url: str, make_client: Callable[[str], Any] | None = None) -> None:
        self.url = url if "://" in url else f"http://{url}"
        self._make_client = make_client or _ray_client
        token = find_token()
        if token is not None:
            keep_from_others(token)
        # Ray's client keeps the headers that it is made with, and prefers this variable to the
        # address that it is given.
        variables = {**cluster_variables(token), SERVER_VARIABLE: self.url}
        with ray_environment(variables), self._translated():
            self._client = self._make_client(self.url)

    def submit(
        self, command: JobCommand, *, files: Path | None = None, columns: int = 100
    ) -> str:
        """Send a search and return the name of its job.

        Args:
            command: The search.
            files: Folder that is sent along; the job starts in a copy of it.
            columns: Width of the tables that it prints.
        """
        name = f"veer-{PurePosixPath(command.run).name}-{secrets.token_hex(3)}"
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WITHIN_S), "COLUMNS": str(columns)}
        environment: dict[str, Any] = {"env_vars": variables}
        if files is not None:
            if not files.is_dir():
                raise ConfigError(f"{files}: --files must be a folder")
            environment["working_dir"] = str(files)
        return self._send(
            entrypoint=command.entrypoint(),
            submission_id=name,
            runtime_env=environment,
            metadata={RUN: command.run},
        )

    def state(self, job: str) -> str:
        """Return the state of a job, in Ray's words: PENDING, RUNNING or one of `ENDED`."""
        return _text(self._info(job).status)

    def exit_status(self, job: str) -> int:
        """Return the exit status of a job's command, 1 for a job that ended otherwise."""
        info = self._info(job)
        if _text(info.status) == "SUCCEEDED":
            return 0
        return info.driver_exit_code or 1

    def run_of(self, job: str) -> str | None:
        """Return the run folder of a job, as the cluster sees it; None of a job of others."""
        return (self._info(job).metadata or {}).get(RUN)

    def why(self, job: str) -> str:
        """Return Ray's message on a job."""
        return str(self._info(job).message or "")

    def searches(self) -> list[tuple[str, str, str]]:
        """Return name, state and run folder of the cluster's searches, oldest first."""
        with self._translated():
            jobs = self._client.list_jobs()
        known = [each for each in jobs if RUN in (each.metadata or {})]
        known.sort(key=lambda each: each.start_time or 0)
        return [(each.submission_id, _text(each.status), each.metadata[RUN]) for each in known]

    def stop(self, job: str) -> bool:
        """Ask a job to end; return False if it has ended already."""
        self._info(job)
        with self._translated():
            return bool(self._client.stop_job(job))

    def log(self, job: str) -> str:
        """Return the whole log of a job."""
        with self._translated():
            return str(self._client.get_job_logs(job))

    def follow(self, job: str, write: Callable[[str], None], say: Callable[[str], None]) -> str:
        """Write the log of a job until it ends, also over lost connections; return its state.

        Args:
            job: Its name.
            write: Writes a part of the log.
            say: Prints a line about the connection.
        """
        new, told_s = _NewText(write), -TOLD_AGAIN_S
        while True:
            try:
                asyncio.run(self._tail(job, new))
                if (state := self.state(job)) in ENDED:
                    new.begin()
                    new.take(self.log(job))  # with what came after the last part
                    return state
            except (ConfigError, RuntimeError, OSError) as error:
                if time.monotonic() - told_s >= TOLD_AGAIN_S:
                    told_s = time.monotonic()
                    say(f"the connection to {self.url} is lost ({error}); the job goes on")
            time.sleep(POLL_S)

    def fetch(self, job: str, folder: Path, within_s: float = FETCH_WITHIN_S) -> list[Path]:
        """Bring tables, page and journal of a search here; return the files.

        Raises:
            RunError: The cluster cannot read the run, or does not answer in time.
        """
        run = self.run_of(job)
        if run is None:
            raise RunError(f"{job} is no search that `veer submit` sent; its results are unknown")
        sender = self._send(entrypoint=fetch_entrypoint(run))
        latest_s = time.monotonic() + within_s
        while (state := self.state(sender)) not in ENDED:
            if time.monotonic() > latest_s:
                self.stop(sender)
                raise RunError(f"{run}: the results did not arrive within {within_s:g} s")
            time.sleep(POLL_S / 5)
        log = self.log(sender)
        if state != "SUCCEEDED":
            raise RunError(f"{run}: the cluster cannot read it: {log.strip()[-500:]}")
        return write_files(log, folder)

    def _send(self, **job: Any) -> str:
        latest_s = time.monotonic() + AGENT_WITHIN_S
        while True:
            try:
                with self._translated():
                    return str(self._client.submit_job(**job))
            except ConfigError as error:
                # A head that has just started.
                if NO_AGENT not in str(error) or time.monotonic() > latest_s:
                    raise
            time.sleep(POLL_S)

    async def _tail(self, job: str, new: "_NewText") -> None:
        new.begin()
        async for part in self._client.tail_job_logs(job):
            new.take(part)

    def _info(self, job: str) -> Any:
        with self._translated(job):
            return self._client.get_job_info(job)

    @contextmanager
    def _translated(self, job: str | None = None) -> Iterator[None]:
        """Translate the errors of Ray's client."""
        try:
            yield
        except AuthenticationError as error:
            raise ConfigError(
                f"{self.url} demands another token than this machine has: on the machine of "
                "`veer cluster head`, `veer cluster token` prints how to bring it here"
            ) from error
        except (ConnectionError, OSError) as error:
            raise ConfigError(
                f"no job server answers at {self.url}: start the cluster with `veer cluster head "
                "--dashboard`; from another machine: ssh -L 8265:127.0.0.1:8265 HEAD"
            ) from error
        except RuntimeError as error:
            if "ray[default]" in str(error):
                raise ConfigError(
                    f"jobs need more of Ray: pip install 'ray[default]=={ray.__version__}'"
                ) from error
            if job is not None and "does not exist" in str(error):
                raise ConfigError(
                    f"{self.url} has no job {job!r}; `veer status` lists the searches"
                ) from error
            raise ConfigError(f"{self.url}: {error}") from error


class _NewText:
    """Writes what is new in a log that is read again from its begin after each lost connection."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._num_written = self._num_read = 0

    def begin(self) -> None:
        """The log is read from its begin."""
        self._num_read = 0

    def take(self, part: str) -> None:
        """Take the next part of the log."""
        if new := part[max(0, self._num_written - self._num_read) :]:
            self._write(new)
        self._num_read += len(part)
        self._num_written = max(self._num_written, self._num_read)


def _ray_client(url: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    # Its remarks on connections would stand in the log that is followed.
    for module in ("modules.job.sdk", "modules.dashboard_sdk"):
        logging.getLogger(f"ray.dashboard.{module}").setLevel(logging.WARNING)
    return JobSubmissionClient(url)


def _text(status: Any) -> str:
    return str(getattr(status, "value", status))
