"""What goes into which shard of a store, and what a complete store holds: its two JSON files."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
from pydantic import BaseModel, ConfigDict, ValidationError

from models.frontend import HOP_SAMPLES, NUM_MELS, SAMPLE_RATE_HZ
from spaces.atomic import write_text_atomically
from trainable.audio import AudioEntry
from trainable.feature_shards import ShardRecord
from trainable.store_key import FORMAT_VERSION, FRONT_END, StoreKey, audio_dir_of, lists_of

MANIFEST, PLAN = "manifest.json", "plan.json"
NUM_PROBED = 16
FRAME_BYTES = NUM_MELS * 2
# 16-bit mono WAV at 16 kHz: 320 bytes of audio a frame of 160.
USUAL_RATIO = 0.5

_log = logging.getLogger(__name__)
_Json = TypeVar("_Json", bound=BaseModel)


class StorePlan(BaseModel):
    """What a store is to hold.

    Attributes:
        format_version: Of the layout; another one is never read.
        key: Full hash, see `store_key`.
        front_end: Settings of the log-mels.
        min_duration_s: Shorter files were refused, seconds.
        lists: Files that name the audio.
        audio_dir: Folder that all the audio is below.
        num_rows: Utterances of each shard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    key: str
    front_end: dict[str, float]
    min_duration_s: float
    lists: tuple[str, ...]
    audio_dir: str
    num_rows: tuple[int, ...]


class StoreManifest(BaseModel):
    """What a complete store holds.

    Attributes:
        plan: What it was to hold.
        shards: What each shard is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: StorePlan
    shards: tuple[ShardRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """What a run asks for.

    Attributes:
        folder: The store's.
        entries: Audio files; row i of the store is file i.
        key: Over them and the settings.
        min_duration_s: Shorter files are refused, seconds.
        shard_bytes: About the size of a shard; decides where none is planned yet.
    """

    folder: Path
    entries: Sequence[AudioEntry]
    key: StoreKey
    min_duration_s: float
    shard_bytes: int


def read_json(path: Path, kind: type[_Json]) -> _Json | None:
    """A plan or a manifest, or None where the file is missing or damaged."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        _log.warning("%s is damaged; what it says is worked out anew", path)
        return None


def planned(request: StoreRequest) -> StorePlan:
    """The plan that the folder has, or else a new one, then written."""
    path = request.folder / PLAN
    plan = read_json(path, StorePlan)
    if plan is None or not fits(plan, request):
        plan = StorePlan(
            format_version=FORMAT_VERSION,
            key=request.key.digest,
            front_end=FRONT_END,
            min_duration_s=request.min_duration_s,
            lists=lists_of(request.entries),
            audio_dir=audio_dir_of(request.entries),
            num_rows=_rows_by_shard(request),
        )
        write_text_atomically(path, plan.model_dump_json(indent=1) + "\n")
    return plan


def fits(plan: StorePlan, request: StoreRequest) -> bool:
    """Whether a plan is for what is asked."""
    return (
        plan.format_version == FORMAT_VERSION
        and plan.key == request.key.digest
        and sum(plan.num_rows) == len(request.entries)
    )


def _rows_by_shard(request: StoreRequest) -> tuple[int, ...]:
    """Cut the list where the log-mels of the files before reach a shard's size.

    Their size is estimated from that of the audio files, so that a million headers need not be
    read, and any process can know the content of any shard before it is built.
    """
    ratio = _bytes_ratio(request)
    by_entry = [ratio[_suffix(entry)] for entry in request.entries]
    estimate = np.asarray(request.key.size_bytes) * np.asarray(by_entry)
    shard = np.cumsum(estimate) - estimate
    _, num_rows = np.unique(shard // request.shard_bytes, return_counts=True)
    return tuple(num_rows.tolist())


def _bytes_ratio(request: StoreRequest) -> dict[str, float]:
    """Bytes of log-mels a byte of audio, by the file's ending, from a few headers of each."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, entry in enumerate(request.entries):
        rows[_suffix(entry)].append(row)
    return {suffix: _probed_ratio(request, found) for suffix, found in rows.items()}


def _probed_ratio(request: StoreRequest, rows: Sequence[int]) -> float:
    log_mel_bytes = audio_bytes = 0.0
    for row in rows[:: -(-len(rows) // NUM_PROBED)]:
        try:
            info = soundfile.info(request.entries[row].path)
        except (soundfile.LibsndfileError, OSError):
            continue  # building names it
        num_frames = info.frames / info.samplerate * SAMPLE_RATE_HZ / HOP_SAMPLES
        log_mel_bytes += num_frames * FRAME_BYTES
        audio_bytes += request.key.size_bytes[row]
    return log_mel_bytes / audio_bytes if log_mel_bytes and audio_bytes else USUAL_RATIO


def _suffix(entry: AudioEntry) -> str:
    return entry.path.suffix.lower()
