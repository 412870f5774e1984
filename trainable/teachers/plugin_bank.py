"""A plug-in teacher's embeddings of a fixed bank of crops, computed once, kept as a Parquet file.

Shapes: B batch, C crops of an utterance, S samples of a crop, D embedding.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.frontend import HOP_SAMPLES
from models.user_code import require_permission
from spaces.files.digest import file_sha256
from spaces.files.errors import ConfigError, RunError, TrainingError
from trainable.audio.reading import NUM_READERS, load_wave
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import Index
from trainable.features.training_data import TrainingData
from trainable.foreign_models.plugin import PluginConfig, PluginProcess, read_plugin
from trainable.foreign_models.worker_process import Float32Array
from trainable.store.tasks import ProgressCallback
from trainable.teachers.embedding_file import read_meta
from trainable.teachers.embedding_writing import EmbeddingWriter
from trainable.verification.scoring import (
    WINDOW_TAIL_SAMPLES,
    evenly_spaced_starts,
    voxceleb_trainer_crop_samples,
    wrap_padded,
)

# Files whose waveforms may be in memory at once.
READ_AHEAD = 64
BANK_KEY, NUM_PARAMS = "bank", "num_params"


class Crop(NamedTuple):
    """The samples of one crop.

    Attributes:
        utterance: Position in the plan.
        path: Path of the utterance, as in the list.
        start_frame: First frame.
        wave_S: The samples.
    """

    utterance: int
    path: str
    start_frame: int
    wave_S: Float32Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedCrops:
    """The crops of one utterance.

    Attributes:
        path: Path of the utterance, as in the list.
        file: Audio file.
        start_C: First frame of each crop, ascending.
    """

    path: str
    file: Path
    start_C: Index


def plan_crops(
    config: PluginConfig, corpus: CorpusConfig, data: TrainingData
) -> tuple[PlannedCrops, ...]:
    """Plan the crops: random ones of training utterances, evenly spaced ones for validation.

    No crop is in it twice, so a short utterance has fewer than `num_crops`. A crop of
    frames [s, s+n) is the samples [160 s, 160 s + 160 n + 240), as voxceleb_trainer crops; where
    the utterance is shorter it is repeated.

    Raises:
        ConfigError: A path is in both lists and means two different files.
    """
    rng = np.random.default_rng(config.seed)
    # Of T frames there are at least 160 (T-1) samples, and a crop must lie within them.
    spare_frames = config.crop_frames + 1 + -(-WINDOW_TAIL_SAMPLES // HOP_SAMPLES)
    plan: dict[str, PlannedCrops] = {}
    for path, row in zip(data.train_paths, data.train_row, strict=True):
        if path in plan:
            continue
        num_starts = max(0, int(data.features.length[row]) - spare_frames) + 1
        start_C = rng.choice(num_starts, min(config.num_crops, num_starts), replace=False)
        plan[path] = PlannedCrops(
            path=path, file=corpus.train_dir / path, start_C=np.sort(start_C)
        )
    for path, row in zip(data.val_paths, data.val_row, strict=True):
        file = corpus.val_dir / path
        if path in plan:
            if plan[path].file != file:
                raise ConfigError(
                    f"{path} is in both lists, but is {plan[path].file} in one and {file} in the "
                    "other: a file of embeddings cannot distinguish them; rename one"
                )
            continue
        num_starts = max(0, int(data.features.length[row]) - spare_frames) + 1
        start_C = np.unique(evenly_spaced_starts(num_starts, 1, config.num_crops))
        plan[path] = PlannedCrops(path=path, file=file, start_C=start_C)
    return tuple(plan.values())


def bank_key(config: PluginConfig, plan: Sequence[PlannedCrops]) -> str:
    """Hash everything that the embeddings depend on: weights, code, arguments, crops, audio files.

    An audio file's size and modification time stand for its content, as for the log-mels. The code
    is the Python files in the trainer's folder and in its folder `models`.
    """
    digest = hashlib.sha256(file_sha256(config.weights).encode())
    # Without batch_size, device and timeout_s: they decide the speed, not the embeddings.
    settings = config.model_dump(
        mode="json", include={"model", "arguments", "num_crops", "crop_frames", "seed"}
    )
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for folder in (config.trainer, config.trainer / "models"):
        for file in sorted(folder.glob("*.py")):
            digest.update(f"{file.name}\0{file_sha256(file)}\n".encode())
    for crops in plan:
        # Hashing the content would read the whole corpus at every start.
        stat = crops.file.stat()
        digest.update(f"{crops.path}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        # In one byte order, so that the key is the same on every machine.
        digest.update(crops.start_C.astype("<i8").tobytes())
    return digest.hexdigest()


def has_key(file: Path, key: str) -> bool:
    """Return whether a file exists and is the bank with this key."""
    try:
        return read_meta(file).get(BANK_KEY) == key
    except TrainingError:  # missing, or not ours
        return False


def build_bank(
    plugin: Path,
    corpus: CorpusConfig,
    data: TrainingData,
    file: Path,
    *,
    progress: ProgressCallback | None = None,
    may_replace: bool = True,
) -> None:
    """Compute a plug-in's embeddings of its bank of crops, unless the file has them already.

    Args:
        plugin: The `plugin.yaml`.
        corpus: The corpus; it has the folders of the audio.
        data: The corpus, opened.
        file: The Parquet file; if it holds another bank, it is replaced atomically.
        progress: Called with (utterances done, utterances in total).
        may_replace: Whether another bank may be replaced.

    Raises:
        ConfigError: The YAML breaks a rule, or user code is not allowed.
        RunError: The file holds another bank and may not be replaced.
        TrainingError: The process failed, hangs or was killed, or returns unusable embeddings.
    """
    require_permission(f"teacher {plugin}")
    config = read_plugin(plugin)
    plan = plan_crops(config, corpus, data)
    key = bank_key(config, plan)
    if has_key(file, key):
        return
    if file.exists() and not may_replace:
        raise RunError(
            f"{file} was made by another state of {plugin}, of the trainer's code, of the weights "
            "or of the audio; restore that, or begin another run"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    _write_bank(file, key, config, plan, source=str(plugin), progress=progress)


def _write_bank(
    file: Path,
    key: str,
    config: PluginConfig,
    plan: Sequence[PlannedCrops],
    *,
    source: str,
    progress: ProgressCallback | None,
) -> None:
    """Embed every crop and write the embeddings; `source` is the file that errors name."""
    with ExitStack() as stack:
        process = stack.enter_context(PluginProcess(config, source))
        writer: EmbeddingWriter | None = None
        for batch, emb_BD in _embedded(process, plan, config):
            if faults := _faults(batch, emb_BD):
                raise TrainingError(f"{source}: {faults}")
            # The size of the embeddings is known only from the first batch.
            if writer is None:
                meta = {BANK_KEY: key, NUM_PARAMS: process.num_params}
                writer = stack.enter_context(EmbeddingWriter(file, meta, emb_BD.shape[1]))
            paths = [crop.path for crop in batch]
            start_B = np.array([crop.start_frame for crop in batch])
            writer.write(paths, start_B, config.crop_frames, emb_BD)
            if progress:
                progress(batch[-1].utterance + 1, len(plan))


def _embedded(
    process: PluginProcess, plan: Sequence[PlannedCrops], config: PluginConfig
) -> Iterator[tuple[list[Crop], Float32Array]]:
    """Yield batches with their embeddings; the next one is cut while the plug-in computes."""
    before: tuple[list[Crop], Future[Float32Array]] | None = None
    for batch in _batches(_cut(plan, config.crop_frames), config.batch_size):
        sent = process.send(np.stack([crop.wave_S for crop in batch]))
        if before is not None:
            yield before[0], process.receive(before[1])
        before = batch, sent
    if before is not None:
        yield before[0], process.receive(before[1])


def _cut(plan: Sequence[PlannedCrops], crop_frames: int) -> Iterator[Crop]:
    """Yield every crop; each file is decoded once, `READ_AHEAD` files in advance."""
    num_samples = voxceleb_trainer_crop_samples(crop_frames)
    with ThreadPoolExecutor(NUM_READERS) as pool:
        for first in range(0, len(plan), READ_AHEAD):
            ahead = plan[first : first + READ_AHEAD]
            waves = pool.map(load_wave, [crops.file for crops in ahead])
            for utterance, (crops, wave) in enumerate(zip(ahead, waves, strict=True), first):
                whole_S = wrap_padded(wave, num_samples)
                for start in crops.start_C.tolist():
                    begin = start * HOP_SAMPLES
                    wave_S = whole_S[begin : begin + num_samples]
                    yield Crop(utterance, crops.path, start, wave_S)


def _batches(crops: Iterator[Crop], batch_size: int) -> Iterator[list[Crop]]:
    while batch := list(islice(crops, batch_size)):
        yield batch


def _faults(batch: Sequence[Crop], emb_BD: Float32Array) -> str | None:
    """Return a message about the first embedding without a direction; None if all are usable."""
    useless_B = ~(np.isfinite(emb_BD).all(axis=1) & emb_BD.any(axis=1))
    if not useless_B.any():
        return None
    crop = batch[int(useless_B.argmax())]
    return (
        "an embedding must be finite and not zero, got another for "
        f"{crop.path} at frame {crop.start_frame}"
    )
