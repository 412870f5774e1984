"""optuna-dashboard for one run, read-only, with data from the run's Optuna study.

The search adds to the study's file with each record of its journal, and the file is read again for
each request, so trials appear and continue while the search runs; a killed search is shown as it
was left. Nothing is written: every request to change data is refused.
"""

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from results.journal.run_folder import RunFolder
from spaces.files.errors import ConfigError, RunError

logger = logging.getLogger(__name__)

# Only this machine may connect, because optuna-dashboard has no passwords.
_HOST = "127.0.0.1"
_READING_METHODS = frozenset({"GET", "HEAD"})


class ReadOnlyFile(JournalFileBackend):
    """Optuna's journal of a run, to which nothing is written.

    Args:
        run: The run folder.

    Raises:
        RunError: The run has no file of its study.
    """

    def __init__(self, run: RunFolder) -> None:
        run.read()
        # Optuna would create the file, and follow a link out of the folder.
        if run.study.is_symlink() or not run.study.is_file():
            raise RunError(
                f"{run.study} must be a file; `veer resume` writes it again from the journal, and "
                "continues a search that has not ended"
            )
        super().__init__(str(run.study))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write.

        Raises:
            RunError: Always.
        """
        raise RunError(f"{self._file_path} is read-only; got {len(logs)} entries to write")


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


class DashboardServer(ThreadingMixIn, WSGIServer):
    """A server of optuna-dashboard for one run, on the loopback address of this machine.

    Args:
        run: The run folder.
        port: The port to listen on; 0 for any free one.

    Raises:
        ConfigError: optuna-dashboard is not installed, or the port is taken.
        RunError: The journal is damaged, or the run has no readable study.
    """

    daemon_threads = True  # an open connection must not keep the process alive

    def __init__(self, run: RunFolder, port: int) -> None:
        app = _make_app(run)
        try:
            super().__init__((_HOST, port), _QuietHandler)
        except OSError as error:
            raise ConfigError(
                f"--port must be a free port of {_HOST}, got {port}: {error.strerror or error}; "
                "name another, or 0 for any"
            ) from error
        # The allowed hosts contain the port, which is known only now if `port` was 0.
        hosts = (f"{_HOST}:{self.server_port}", f"localhost:{self.server_port}")
        self.set_app(ReadOnly(app, hosts))

    @property
    def url(self) -> str:
        """The address of the page of the study."""
        return f"http://{_HOST}:{self.server_port}/dashboard/studies/0"


class _QuietHandler(WSGIRequestHandler):
    """A handler that logs requests at DEBUG, where the standard one prints each of them."""

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _make_app(run: RunFolder) -> WSGIApplication:
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
    try:
        return make(JournalStorage(ReadOnlyFile(run)))
    # Optuna trusts its file: what a damaged one raises depends on the damage.
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.study}: cannot be read ({type(error).__name__}: {error}); delete it, and "
            "`veer resume` writes it again from the journal, and continues a search that has not "
            "ended"
        ) from error


def _refused(respond: StartResponse, status: HTTPStatus, why: str) -> list[bytes]:
    # The form of optuna-dashboard's own errors, whose reason its page shows.
    respond(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [f'{{"reason": "{why}"}}'.encode()]
