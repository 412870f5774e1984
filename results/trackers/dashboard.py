"""optuna-dashboard for one run, read-only, with data from the run's journal.

The journal is read again for each request, so trials appear and continue while the search runs; a
killed search is shown as it was left. Nothing is written: every request to change data is refused.
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

# Only this machine may connect, because optuna-dashboard has no passwords.
_HOST = "127.0.0.1"
_READING_METHODS = frozenset({"GET", "HEAD"})


class FollowedRun(BaseJournalBackend):
    """Optuna's journal of a run, made from Veer's journal, which may still be growing.

    Not thread-safe: Optuna's storage calls it under a lock of its own.

    Args:
        run: The run folder.
        dimensions: The dimensions of the run's space.

    Raises:
        RunError: The journal is damaged, or belongs to another space.
    """

    def __init__(self, run: RunFolder, dimensions: Sequence[Dimension]) -> None:
        self._run = run
        self._study = StudyLog(dimensions, run.path.resolve().name)
        self._tail = JournalTail(run.journal)
        self._num_taken = 0
        self._entries: list[dict[str, Any]] = []
        self._catch_up()

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Read the journal again, and return all entries from this number on."""
        self._catch_up()
        return self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write.

        Raises:
            RunError: Always.
        """
        raise RunError(f"{self._run.path} is shown read-only; got {len(logs)} entries to write")

    def _catch_up(self) -> None:
        self._tail.read()
        for record in self._tail.records[self._num_taken :]:
            self._study.take(record)
            self._num_taken += 1  # at once: `take` may raise, and must not get a record twice
        self._entries += self._study.new_entries()


class ReadOnly:
    """A web application that passes only reading requests on, and only from its own page.

    A foreign web page could make its own host name resolve to this machine (DNS rebinding) and
    read the run. Such a request has the foreign name in its `Host` header, so it is refused.

    Args:
        app: The application.
        hosts: Allowed values of the `Host` header, such as `localhost:8080`.
    """

    def __init__(self, app: WSGIApplication, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    def __call__(self, environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        """Answer one request, or refuse it."""
        if environ.get("HTTP_HOST") not in self._hosts:
            why = "open the address that veer dashboard printed"
            return _refused(respond, HTTPStatus.FORBIDDEN, why)
        if environ["REQUEST_METHOD"] not in _READING_METHODS:
            why = "veer dashboard is read-only"
            return _refused(respond, HTTPStatus.METHOD_NOT_ALLOWED, why)
        return self._app(environ, respond)


class DashboardServer:
    """optuna-dashboard for one run, on the loopback address of this machine.

    Args:
        run: The run folder.
        dimensions: The dimensions of the run's space.
        port: The port to listen on; 0 for any free one.

    Raises:
        ConfigError: optuna-dashboard is not installed, or the port is taken.
        RunError: The journal is damaged, or belongs to another space.
    """

    def __init__(self, run: RunFolder, dimensions: Sequence[Dimension], port: int) -> None:
        app = _make_app(FollowedRun(run, dimensions))
        try:
            self._server = make_server(
                _HOST, port, _not_ready, server_class=_ThreadingServer, handler_class=_QuietHandler
            )
        except OSError as error:
            raise ConfigError(
                f"--port must be a free port of {_HOST}, got {port}: {error.strerror or error}; "
                "name another, or 0 for any"
            ) from error
        # The allowed hosts contain the port, which is known only now if `port` was 0.
        self.port = self._server.server_port
        hosts = (f"{_HOST}:{self.port}", f"localhost:{self.port}")
        self._server.set_app(ReadOnly(app, hosts))

    @property
    def url(self) -> str:
        """The address of the page of the study."""
        return f"http://{_HOST}:{self.port}/dashboard/studies/0"

    def serve(self) -> None:
        """Answer requests until `close` or an interrupt."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Free the port."""
        self._server.server_close()

    def __enter__(self) -> Self:
        """Answer requests in another thread, until the end of the block."""
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


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # an open connection must not keep the process alive


class _QuietHandler(WSGIRequestHandler):
    """A handler that logs requests at DEBUG, where the standard one prints each of them."""

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _make_app(backend: BaseJournalBackend) -> WSGIApplication:
    try:
        # Here and not at the top, since the package is optional.
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise ConfigError(
            "veer dashboard needs optuna-dashboard, which is not installed: "
            "pip install 'veer[dashboard]'"
        ) from error
    # optuna-dashboard has no types for this function.
    make: Callable[[JournalStorage], WSGIApplication] = wsgi
    return make(JournalStorage(backend))


def _refused(respond: StartResponse, status: HTTPStatus, why: str) -> list[bytes]:
    # The form of optuna-dashboard's own errors, whose reason its page shows.
    respond(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [f'{{"reason": "{why}"}}'.encode()]


def _not_ready(environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
    del environ
    return _refused(respond, HTTPStatus.SERVICE_UNAVAILABLE, "starting")
