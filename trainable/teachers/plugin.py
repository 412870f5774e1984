"""A teacher that is user code: a model plug-in of voxceleb_trainer, run in its own process.

A YAML file names the trainer's folder, the plug-in and its weights. The code runs in a separate
process (`plugin_worker`), since its packages `models` and `utils` would clash with Veer's.

Shapes: B batch, S samples, D embedding.
"""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError, TrainingError
from spaces.files.yaml_file import YamlDocument, load_model, read_yaml

WORKER = Path(__file__).with_name("plugin_worker.py")
# Repeated in `plugin_worker`, which must not import anything of Veer.
BATCH_HEADER = struct.Struct("<II")
STDERR_LINES = 6
# Time to wait for the exit status of a process that has closed its output.
GRACE_S = 5.0

Float32Array = NDArray[np.float32]
Answer = TypeVar("Answer")


class PluginConfig(BaseModel):
    """The content of `plugin.yaml`; relative paths count from its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trainer: Path = Field(description="Folder of the trainer; it holds models/MODEL.py.")
    model: str = Field(pattern=r"^[A-Za-z_]\w*$", description="Name of the plug-in.")
    weights: Path = Field(description="Its model%09d.model.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Passed to MainModel by name: nOut, n_mels and so on."
    )
    python: Path = Field(
        Path(sys.executable), description="Interpreter that has what the plug-in imports."
    )
    num_crops: int = Field(8, ge=1, le=1000, description="Most crops per utterance.")
    crop_frames: int = Field(
        200, ge=8, le=4000, description="Frames of a crop; the students' training.crop_frames."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the training crops.")
    batch_size: int = Field(64, ge=1, le=65_536, description="Crops per call of the plug-in.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto uses a GPU if there is one."
    )
    timeout_s: float = Field(
        600.0, gt=0, description="Seconds after which a call counts as hanging."
    )


def read_plugin(file: Path) -> PluginConfig:
    """Read a `plugin.yaml`; no code of the plug-in is run.

    Raises:
        ConfigError: With file, line and fix.
    """
    document = read_yaml(file)
    config, base = load_model(PluginConfig, document), file.resolve().parent
    config = config.model_copy(
        update={
            "trainer": (base / config.trainer).resolve(),
            "weights": (base / config.weights).resolve(),
            # Not resolved: a virtual environment's interpreter is a link that must stay one.
            "python": base / config.python,
        }
    )
    _check_files(config, document)
    return config


class PluginProcess:
    """The running plug-in: a context manager that starts the process and kills it at the end.

    Attributes:
        num_params: Parameters of its model.

    Args:
        config: The plug-in.
        name: Name of the plug-in in messages: its YAML file.

    Raises:
        TrainingError: On entering, if it cannot load the model; with its last lines of stderr.
    """

    num_params: int

    def __init__(self, config: PluginConfig, name: str) -> None:
        self._config, self._name = config, name

    def __enter__(self) -> "PluginProcess":
        config = self._config
        spec = config.model_dump(
            mode="json", include={"trainer", "model", "weights", "arguments", "device"}
        )
        self._errors = tempfile.TemporaryFile()
        try:
            # Isolated (-I): neither PYTHONPATH nor the working folder adds to its path.
            # -B: no compiled files in the trainer's folder.
            self._process = subprocess.Popen(  # noqa: S603 - only with --allow-code
                [str(config.python), "-I", "-B", str(WORKER), json.dumps(spec)],
                cwd=config.trainer,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A file: a pipe that nobody reads would block a plug-in that prints much.
                stderr=self._errors,
                # A group of its own, so that `_kill` ends the plug-in's child processes too.
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise TrainingError(f"{self._name}: cannot run {config.python}: {error}") from error
        # A read from a pipe has no timeout, so a thread reads; one, to keep answers in order.
        self._thread = ThreadPoolExecutor(1)
        try:
            ready = self._wait(self._thread.submit(self._read_line), "loading the model")
            self.num_params = int(ready["num_params"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        # After the kill: the thread may be in a read, which ends with the process.
        self._thread.shutdown()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what is left to write has no reader any more
                    stream.close()
        self._errors.close()

    def send(self, wave_BS: Float32Array) -> Future[Float32Array]:
        """Start to send a batch of crops and return, so the caller can prepare the next one."""
        # Of one type and layout, since the process gets the bytes of the array as they are.
        return self._thread.submit(self._exchange, np.ascontiguousarray(wave_BS, np.float32))

    def receive(self, sent: Future[Float32Array]) -> Float32Array:
        """Return the embeddings of a batch that was sent, (B, D).

        Raises:
            TrainingError: The process failed, was killed, or did not answer within `timeout_s`.
        """
        return self._wait(sent, "embedding a batch")

    def _wait(self, answer: "Future[Answer]", doing: str) -> Answer:
        try:
            return answer.result(self._config.timeout_s)
        except TimeoutError:
            self._kill()
            raise TrainingError(
                f"{self._name}: the teacher's process gave no answer for "
                f"{self._config.timeout_s:g} s while {doing}, and was ended; raise timeout_s if "
                f"it is only slow{self._last_words()}"
            ) from None
        except (EOFError, OSError, ValueError) as error:
            raise TrainingError(f"{self._name}: {self._ending(doing)}") from error

    def _read_line(self) -> dict[str, Any]:
        return dict(json.loads(self._out.readline()))

    def _exchange(self, wave_BS: Float32Array) -> Float32Array:
        into = self._process.stdin
        assert into is not None  # noqa: S101 - opened as a pipe
        into.write(BATCH_HEADER.pack(*wave_BS.shape))
        into.write(wave_BS.data)
        into.flush()
        num_crops, size = BATCH_HEADER.unpack(self._read(BATCH_HEADER.size))
        raw = self._read(4 * num_crops * size)
        return np.frombuffer(raw, np.float32).reshape(num_crops, size)

    def _read(self, num_bytes: int) -> bytes:
        raw: bytes = self._out.read(num_bytes)
        if len(raw) < num_bytes:
            raise EOFError
        return raw

    @property
    def _out(self) -> Any:
        return self._process.stdout

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


def _check_files(config: PluginConfig, document: YamlDocument) -> None:
    """Check that the trainer, the plug-in, the weights and the interpreter exist.

    Raises:
        ConfigError: With file and line of the key.
    """
    plugins = sorted((config.trainer / "models").glob("*.py"))
    if not plugins:
        raise ConfigError(
            f"{document.location_of(('trainer',))}: trainer: must be a folder with models/*.py, "
            f"got {config.trainer}"
        )
    if config.model not in (names := [file.stem for file in plugins]):
        raise ConfigError(
            f"{document.location_of(('model',))}: model: must be a file of {plugins[0].parent}, "
            f"got {config.model!r}{did_you_mean(config.model, names)}"
        )
    for key, what in (("weights", config.weights), ("python", config.python)):
        if not what.is_file():
            raise ConfigError(f"{document.location_of((key,))}: {key}: there is no file {what}")
