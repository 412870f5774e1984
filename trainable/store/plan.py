"""The two JSON files of a store: the plan of its shards, and the manifest of a complete store."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from spaces.files.atomic import write_text_atomically
from spaces.files.errors import StoreError
from trainable.store.shards import ShardKind, ShardLocation, ShardRecord
from trainable.store.tasks import ShardTask

MANIFEST, PLAN = "manifest.json", "plan.json"
FORMAT_VERSION = 3
"""Increased by every change of the layout of shards or plans, or of the numbers in shards."""
SOURCE = "features"
"""The setting that holds the key of the store that this one was made from, if any."""
# 64 bits of the key in a folder's name are enough to find it; the plan has the full key.
FOLDER_KEY_DIGITS = 16

_log = logging.getLogger(__name__)
_Json = TypeVar("_Json", bound=BaseModel)


class StorePlan(BaseModel):
    """What a store is to hold.

    Attributes:
        format_version: Version of the layout; stores of another version are never read.
        kind: What the vectors are.
        key: Full hash over everything that the vectors follow from.
        settings: What decides the vectors besides the audio.
        lists: Files that list the audio.
        audio_dirs: For each of the lists, the deepest folder that all its audio is below.
        num_rows: Number of utterances of each shard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    kind: ShardKind
    key: str
    settings: dict[str, Any]
    lists: tuple[str, ...]
    audio_dirs: tuple[str, ...]
    num_rows: tuple[int, ...]


class StoreManifest(BaseModel):
    """What a complete store holds.

    Attributes:
        plan: What the store was to hold.
        shards: Record of each shard, in the order of their numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: StorePlan
    shards: tuple[ShardRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A store that a run asks for.

    Attributes:
        folder: Folder of the store.
        kind: What its vectors are.
        key: Full hash over everything that the vectors follow from.
        num_rows: Number of utterances in all.
        new_plan: Function that makes the plan, called if the folder has none.
        task: Function that makes a task from the shard's location, its first utterance and its
            number of utterances.
        same_audio_as: Key of a store of the same files. If these have faults, this store is not
            built: repairing the files changes its key.
    """

    folder: Path
    kind: ShardKind
    key: str
    num_rows: int
    new_plan: Callable[[], StorePlan]
    task: Callable[[ShardLocation, int, int], ShardTask]
    same_audio_as: str | None = None

    def location(self, number: int) -> ShardLocation:
        """Return the location of the shard with this number."""
        return ShardLocation(folder=self.folder, kind=self.kind, key=self.key, number=number)


def read_json(path: Path, kind: type[_Json]) -> _Json | None:
    """Read a plan or a manifest; return None if the file is missing or damaged.

    Raises:
        StoreError: The file exists but cannot be opened.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        _log.warning("%s is damaged; its content is computed again", path)
        return None
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror or error}); make it a readable file, or "
            "remove it, and `veer data build` writes it again"
        ) from error


def ensure_plan(request: StoreRequest) -> StorePlan:
    """Return the plan in the folder; if it has none that fits, write a new one."""
    path = request.folder / PLAN
    plan = read_json(path, StorePlan)
    if plan is None or not plan_fits(plan, request):
        plan = request.new_plan()
        write_text_atomically(path, plan.model_dump_json(indent=1) + "\n")
    return plan


def plan_fits(plan: StorePlan, request: StoreRequest) -> bool:
    """Return whether a plan is one of the requested store."""
    return (
        plan.format_version == FORMAT_VERSION
        and plan.kind == request.kind
        and plan.key == request.key
        # The key covers the number of utterances: another sum means that the file was altered.
        and sum(plan.num_rows) == request.num_rows
    )


DEFAULT_SHARD_BYTES = 512 * 2**20
# A store has at least this many shards, so that processes can share the work,
MIN_SHARDS = 32
# unless they would become smaller than this.
MIN_SHARD_BYTES = 16 * 2**20


def rows_by_size(sizes: Sequence[float], shard_bytes: int) -> tuple[int, ...]:
    """Cut rows into shards of about equal size.

    Args:
        sizes: Size of each row, bytes.
        shard_bytes: Largest size of a shard, about.

    Returns:
        Number of rows of each shard.
    """
    total = float(np.sum(sizes))
    wanted = min(shard_bytes, max(MIN_SHARD_BYTES, total / MIN_SHARDS))
    shard = (np.cumsum(sizes) - sizes) // wanted
    _, num_rows = np.unique(shard, return_counts=True)
    return tuple(num_rows.tolist())
