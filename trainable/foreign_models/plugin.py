"""A teacher that is user code: a model plug-in of voxceleb_trainer, run in its own process.

A YAML file names the trainer's folder, the plug-in and its weights. The code runs in a separate
process (`plugin_worker`), since its packages `models` and `utils` would clash with Veer's.

Shapes: B batch, S samples, D embedding.
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import YamlDocument, load_model, read_yaml
from trainable.foreign_models.worker_process import Float32Array, WorkerProcess

WORKER = Path(__file__).with_name("plugin_worker.py")
# Repeated in `plugin_worker`, which must not import anything of Veer.
BATCH_HEADER = struct.Struct("<II")


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


class PluginProcess(WorkerProcess):
    """The running plug-in.

    Attributes:
        num_params: Parameters of its model.

    Args:
        config: The plug-in.
        name: Name of the plug-in in messages: its YAML file.
    """

    num_params: int

    def __init__(self, config: PluginConfig, name: str) -> None:
        spec = config.model_dump(
            mode="json", include={"trainer", "model", "weights", "arguments", "device"}
        )
        # Isolated (-I): neither PYTHONPATH nor the working folder adds to its path.
        # -B: no compiled files in the trainer's folder.
        command = [str(config.python), "-I", "-B", str(WORKER), json.dumps(spec)]
        super().__init__(command, config.trainer, name, config.timeout_s)

    def __enter__(self) -> "PluginProcess":
        super().__enter__()
        return self

    def _check_ready(self) -> None:
        self.num_params = int(self.ready["num_params"])

    def _exchange(self, batch: Float32Array) -> Float32Array:
        self._into.write(BATCH_HEADER.pack(*batch.shape))
        self._into.write(batch.data)
        self._into.flush()
        num_crops, size = BATCH_HEADER.unpack(self._read(BATCH_HEADER.size))
        raw = self._read(4 * num_crops * size)
        return np.frombuffer(raw, np.float32).reshape(num_crops, size)


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
