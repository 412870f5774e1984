"""What goes into which shard of a store, and what a complete store holds: its two JSON files."""

import json
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
"""Raised whenever the layout of shards or plans, or the numbers in shards, change."""
SOURCE = "features"
"""The setting with the key of the store that another was made from, where it was."""

_log = logging.getLogger(__name__)
_Json = TypeVar("_Json", bound=BaseModel)


class StorePlan(BaseModel):
    """What a store is to hold.

    Attributes:
        format_version: Of the layout; another one is never read.
        kind: What the vectors are.
        key: Full hash over all that they follow from.
        settings: What decides them besides the audio, in words and numbers.
        lists: Files that name the audio.
        audio_dirs: For each of the lists, the folder that all its audio is below.
        num_rows: Utterances of each shard.
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
        plan: What it was to hold.
        shards: What each shard is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: StorePlan
    shards: tuple[ShardRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A store that a run asks for.

    Attributes:
        folder: The store's.
        kind: What its vectors are.
        key: Full hash over all that they follow from.
        num_rows: Utterances in all.
        new_plan: Makes the plan, where the folder has none.
        task: Makes a task from its place, its first utterance and how many it has.
        same_audio_as: Key of a store of the same files, unchanged. Where these have faults, this
            one is not built: what mends them changes its key.
    """

    folder: Path
    kind: ShardKind
    key: str
    num_rows: int
    new_plan: Callable[[], StorePlan]
    task: Callable[[ShardLocation, int, int], ShardTask]
    same_audio_as: str | None = None

    def location(self, number: int) -> ShardLocation:
        """Of a shard."""
        return ShardLocation(folder=self.folder, kind=self.kind, key=self.key, number=number)


def read_json(path: Path, kind: type[_Json]) -> _Json | None:
    """A plan or a manifest, or None where the file is missing or damaged.

    Raises:
        StoreError: It is there, but cannot be opened.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        _log.warning("%s is damaged; what it says is worked out anew", path)
        return None
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror or error}); make it a readable file, or "
            "remove it, and `veer data build` writes it anew"
        ) from error


def is_other_format(folder: Path) -> bool:
    """Whether a store's plan is of another version of the format, and cannot be read here."""
    try:
        version = json.loads((folder / PLAN).read_bytes())["format_version"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(version != FORMAT_VERSION)


def ensure_plan(request: StoreRequest) -> StorePlan:
    """The plan that the folder has, or else a new one, then written."""
    path = request.folder / PLAN
    plan = read_json(path, StorePlan)
    if plan is None or not plan_fits(plan, request):
        plan = request.new_plan()
        write_text_atomically(path, plan.model_dump_json(indent=1) + "\n")
    return plan


def plan_fits(plan: StorePlan, request: StoreRequest) -> bool:
    """Whether a plan is for what is asked."""
    return (
        plan.format_version == FORMAT_VERSION
        and plan.kind == request.kind
        and plan.key == request.key
        and sum(plan.num_rows) == request.num_rows
    )


DEFAULT_SHARD_BYTES = 512 * 2**20
# So many shards at least, so that processes can share the work, unless they were tiny.
NUM_PIECES = 32
SMALLEST_SHARD_BYTES = 16 * 2**20


def rows_by_size(sizes: Sequence[float], shard_bytes: int) -> tuple[int, ...]:
    """Cut rows of these sizes, bytes, into shards of a size: where those before reach it."""
    total = float(np.sum(sizes))
    wanted = min(shard_bytes, max(SMALLEST_SHARD_BYTES, total / NUM_PIECES))
    shard = (np.cumsum(sizes) - sizes) // wanted
    _, num_rows = np.unique(shard, return_counts=True)
    return tuple(num_rows.tolist())
