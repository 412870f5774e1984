"""Uploads in a thread of their own: whoever asks for one does not wait for it."""

import threading
import time
from collections.abc import Callable

from spaces.files.errors import StorageError
from trainable.storage.retrying import PATIENT, Patience


class Uploader:
    """Calls a function whenever an upload was asked for; several requests may become one call.

    A failed upload is tried again, with growing waits, until it succeeds.

    Args:
        upload: Uploads everything there is; may raise a StorageError. Any other error ends the
            uploads, and is raised by `flush` and `check`.
        print_line: Prints a line at the first failure of several, and when they end.
        least_gap_s: Least time between the ends and starts of uploads, seconds.
        patience: Its waits count; failed uploads are tried without end.
    """

    def __init__(
        self,
        upload: Callable[[], object],
        print_line: Callable[[str], None] = lambda _: None,
        *,
        least_gap_s: float = 0.0,
        patience: Patience = PATIENT,
    ) -> None:
        self._upload, self._print_line = upload, print_line
        self._least_gap_s, self._patience = least_gap_s, patience
        self._change = threading.Condition()
        self._asked = self._done = 0
        self._is_closed = self._is_hurried = False
        self._failure: StorageError | None = None
        self._fatal: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="veer-upload", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Ask for an upload of everything there is now; returns at once."""
        with self._change:
            self._asked += 1
            self._change.notify_all()

    def check(self) -> None:
        """Raise the error that ended the uploads, if there was one."""
        if self._fatal is not None:
            raise self._fatal

    def flush(self, within_s: float) -> None:
        """Ask for an upload, and return when it is done.

        Raises:
            StorageError: It was not done in that time; the last failure.
        """
        until_s = time.monotonic() + within_s
        with self._change:
            self._asked += 1
            wanted, self._is_hurried = self._asked, True
            self._change.notify_all()
            try:
                while self._done < wanted and self._fatal is None:
                    left_s = until_s - time.monotonic()
                    if left_s <= 0:
                        raise self._failure or StorageError(
                            f"the upload must end within {within_s:g} s, and still goes on; check "
                            "the network"
                        )
                    self._change.wait(left_s)
            finally:
                self._is_hurried = False
        self.check()

    def close(self) -> None:
        """End the thread after the upload that runs; what is asked for and not begun is left."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()

    def _run(self) -> None:
        failures = 0
        while True:
            with self._change:
                self._change.wait_for(lambda: self._is_closed or self._done < self._asked)
                if self._is_closed:
                    return
                asked = self._asked
            try:
                self._upload()
            except StorageError as error:
                failures += 1
                self._note(error, failures)
            except Exception as error:  # noqa: BLE001 - raised again by `check` and `flush`
                with self._change:
                    self._fatal = error
                    self._change.notify_all()
                return
            else:
                if failures:
                    self._print_line("object storage answers again: all is uploaded")
                failures = 0
                with self._change:
                    self._done, self._failure = asked, None
                    self._change.notify_all()
                with self._change:
                    hurry = lambda: self._is_closed or self._is_hurried  # noqa: E731
                    self._change.wait_for(hurry, self._least_gap_s)

    def _note(self, error: StorageError, failures: int) -> None:
        with self._change:
            self._failure = error
        if failures == 1:
            self._print_line(f"not uploaded, tried again until it is: {error}")
        with self._change:
            self._change.wait_for(lambda: self._is_closed, self._patience.wait_s(failures))
