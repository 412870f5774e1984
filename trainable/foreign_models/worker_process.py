"""A process that runs a model of another program: started, asked, watched, ended.

A crash of foreign code, or a thread that it leaves behind, ends with the process and cannot harm
the one that asks.

Shapes: B batch, D embedding.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spaces.files.errors import TrainingError

STDERR_LINES = 6
# Time to wait for the exit status of a process that has closed its output.
GRACE_S = 5.0

Float32Array = NDArray[np.float32]
Answer = TypeVar("Answer")


class WorkerProcess:
    """The running process: a context manager that starts it and kills it at the end.

    Its first answer is a line of JSON, `ready`; then it answers one array for each.

    Attributes:
        ready: What it reports once the model is loaded.

    Args:
        command: The command.
        folder: Its working folder.
        name: Name of the model in messages: its file.
        timeout_s: Seconds after which a call counts as hanging.

    Raises:
        TrainingError: On entering, if it cannot load the model; with its last lines of stderr.
    """

    ready: dict[str, Any]

    def __init__(
        self, command: Sequence[str], folder: Path, name: str, timeout_s: float
    ) -> None:
        self._command, self._folder = list(command), folder
        self._name, self._timeout_s = name, timeout_s

    def __enter__(self) -> "WorkerProcess":
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a script of ours, with a user's model
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A file: a pipe that nobody reads would block a model that prints much.
                stderr=self._errors,
                # A group of its own, so that `_kill` ends its child processes too.
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise TrainingError(
                f"{self._name}: cannot run {self._command[0]}: {error}"
            ) from error
        # A read from a pipe has no timeout, so a thread reads; one, to keep answers in order.
        self._thread = ThreadPoolExecutor(1)
        try:
            self.ready = self._wait(self._thread.submit(self._read_line), "loading the model")
            self._check_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _check_ready(self) -> None:
        """Take what the process reports when the model is loaded."""

    def __exit__(self, *_: object) -> None:
        self._kill()
        # After the kill: the thread may be in a read, which ends with the process.
        self._thread.shutdown()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what is left to write has no reader any more
                    stream.close()
        self._errors.close()

    def send(self, batch: Float32Array) -> Future[Float32Array]:
        """Start to send a batch of crops and return, so the caller can prepare the next one."""
        # Of one type and layout, since the process gets the bytes of the array as they are.
        return self._thread.submit(self._exchange, np.ascontiguousarray(batch, np.float32))

    def receive(self, sent: Future[Float32Array]) -> Float32Array:
        """Return the embeddings of a batch that was sent, (B, D).

        Raises:
            TrainingError: The process failed, was killed, or did not answer within `timeout_s`.
        """
        return self._wait(sent, "embedding a batch")

    def _wait(self, answer: "Future[Answer]", doing: str) -> Answer:
        try:
            return answer.result(self._timeout_s)
        except TimeoutError:
            self._kill()
            raise TrainingError(
                f"{self._name}: the teacher's process gave no answer for "
                f"{self._timeout_s:g} s while {doing}, and was ended; raise timeout_s if "
                f"it is only slow{self._last_words()}"
            ) from None
        except (EOFError, OSError, ValueError) as error:
            raise TrainingError(f"{self._name}: {self._ending(doing)}") from error

    def _read_line(self) -> dict[str, Any]:
        return dict(json.loads(self._out.readline()))

    @abstractmethod
    def _exchange(self, batch: Float32Array) -> Float32Array:
        """Send a batch and read the embeddings."""

    def _read(self, num_bytes: int) -> bytes:
        raw: bytes = self._out.read(num_bytes)
        if len(raw) < num_bytes:
            raise EOFError
        return raw

    @property
    def _out(self) -> Any:
        return self._process.stdout

    @property
    def _into(self) -> Any:
        return self._process.stdin

    def _ending(self, doing: str) -> str:
        """Return a text that describes how the process ended."""
        try:
            status = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            return f"the teacher's process closed its output while {doing}{self._last_words()}"
        # `subprocess` reports the signal that ended a process as a negative status.
        if status < 0:
            why = "; the system does so when memory is short" if status == -signal.SIGKILL else ""
            name = signal.Signals(-status).name
            return f"the teacher's process was killed ({name}) while {doing}{why}"
        return f"the teacher's process ended with status {status} while {doing}" + (
            self._last_words()
        )

    def _last_words(self) -> str:
        """Return the last lines of its stderr, as the end of a message."""
        self._errors.seek(0)
        # Only the end: a traceback ends with the error, and a plug-in may have printed much.
        lines = self._errors.read().decode(errors="replace").rstrip().splitlines()[-STDERR_LINES:]
        return "; its last output:" + "".join(f"\n  {line}" for line in lines) if lines else ""

    def _kill(self) -> None:
        """Kill the process and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
