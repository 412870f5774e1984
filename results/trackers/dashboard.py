"""optuna-dashboard over a run, read-only: what it shows is read from the run's journal.

The journal is followed, so that trials appear and go on while the search runs, and one that was
killed is shown as it stands. Nothing is written: whatever its buttons would change is refused.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from results.journal.run_folder import RunFolder
from results.journal.tail import JournalTail
from results.trackers.study import StudyLog
from spaces.dimensions import Dimension
from spaces.files.errors import ConfigError, RunError

logger = logging.getLogger(__name__)

# This machine alone: the dashboard knows no passwords.
HOST = "127.0.0.1"
READING = frozenset({"GET", "HEAD"})


class FollowedRun(BaseJournalBackend):
    """Optuna's journal of a run, read from Veer's, which may still be growing.

    Optuna calls it under a lock of its own.

    Args:
        run: The run.
        dimensions: Its space's.

    Raises:
        RunError: The journal is damaged, or not of this space.
    """

    def __init__(self, run: RunFolder, dimensions: Sequence[Dimension]) -> None:
        self._run = run
        self._study = StudyLog(dimensions, run.path.resolve().name)
        self._tail = JournalTail(run.journal)
        self._num_taken = 0
        self._entries: list[dict[str, Any]] = []
        self._catch_up()

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The entries from this one on."""
        self._catch_up()
        return self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse.

        Raises:
            RunError: Always.
        """
        raise RunError(f"{self._run.path} is shown, and not changed; got {len(logs)} entries")

    def _catch_up(self) -> None:
        self._tail.read()
        for record in self._tail.records[self._num_taken :]:
            self._study.take(record)
            self._num_taken += 1
        self._entries += self._study.new_entries()


class ReadOnly:
    """A web application that is only asked to read, and by nobody's page but its own.

    A page of somebody else could have its name point to this machine, and read along; the name
    that it is asked by tells.

    Args:
        app: The application.
        hosts: Names and ports that it may be asked by.
    """

    def __init__(self, app: WSGIApplication, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    def __call__(self, environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("HTTP_HOST") not in self._hosts:
            return _refused(respond, HTTPStatus.FORBIDDEN, "ask by the printed address")
        if environ["REQUEST_METHOD"] not in READING:
            why = "veer dashboard shows a run and changes nothing"
            return _refused(respond, HTTPStatus.METHOD_NOT_ALLOWED, why)
        return self._app(environ, respond)


class DashboardServer:
    """optuna-dashboard over a run, on this machine's loopback address.

    Args:
        run: The run.
        dimensions: Its space's.
        port: Where to listen; 0 for any free one.

    Raises:
        ConfigError: optuna-dashboard is not installed, or the port is taken.
        RunError: The journal is damaged, or not of this space.
    """

    def __init__(self, run: RunFolder, dimensions: Sequence[Dimension], port: int) -> None:
        app = _make_app(FollowedRun(run, dimensions))
        try:
            self._server = make_server(
                HOST, port, _not_ready, server_class=_Threads, handler_class=_Quiet
            )
        except OSError as error:
            raise ConfigError(
                f"--port must be a free port of {HOST}, got {port}: {error.strerror or error}; "
                "name another, or 0 for any"
            ) from error
        self.port = self._server.server_port
        hosts = (f"{HOST}:{self.port}", f"localhost:{self.port}")
        self._server.set_app(ReadOnly(app, hosts))

    @property
    def url(self) -> str:
        """Where the study is shown."""
        return f"http://{HOST}:{self.port}/dashboard/studies/0"

    def serve(self) -> None:
        """Answers until `close`, or an interrupt."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Frees the port."""
        self._server.server_close()

    def __enter__(self) -> Self:
        """Answers in a thread of its own, until the end of the block."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self.close()


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Logs requests where a person asks for debugging, and prints none."""

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _make_app(backend: BaseJournalBackend) -> WSGIApplication:
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise ConfigError(
            "veer dashboard needs optuna-dashboard, which is not installed: "
            "pip install 'veer[dashboard]'"
        ) from error
    make: Callable[[JournalStorage], WSGIApplication] = wsgi
    return make(JournalStorage(backend))


def _refused(respond: StartResponse, status: HTTPStatus, why: str) -> list[bytes]:
    # As optuna-dashboard's own refusals, which its pages show.
    respond(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [f'{{"reason": "{why}"}}'.encode()]


def _not_ready(environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
    del environ
    return _refused(respond, HTTPStatus.SERVICE_UNAVAILABLE, "starting")
