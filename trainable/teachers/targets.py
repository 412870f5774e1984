"""A teacher's targets: its output for a fixed bank of crops, stored once and mapped by all trials.

A row of the store is a training utterance or an augmented copy of one. Its vectors are the
embedding and the stages of each of its crops, in float16.

Shapes: B batch, N rows drawn, C crops of an utterance, D embedding, W numbers of a vector.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.user_code import code_root
from spaces.files.digest import file_sha256
from trainable.features.crop_bank import CropBank, Index
from trainable.features.training_data import TrainingData, all_copies
from trainable.foreign_models.graph import Graph, open_graph
from trainable.foreign_models.graph_config import is_graph
from trainable.loss.teacher_output import Crops, SpeakerCentres, TeacherFacts, TeacherOutput
from trainable.machine.prefetch import to_device
from trainable.store.folder import complete_plan, open_stores, store_folder
from trainable.store.plan import (
    DEFAULT_SHARD_BYTES,
    FORMAT_VERSION,
    SOURCE,
    StorePlan,
    StoreRequest,
    rows_by_size,
)
from trainable.store.shards import ShardKind, ShardLocation
from trainable.store.table import RowTable
from trainable.store.tasks import Builder, ProgressCallback, ShardTask, build_shards
from trainable.teachers.graph_targets import GraphTask, audio_files
from trainable.teachers.network import load_centres, load_teacher
from trainable.teachers.target_builder import TargetTask

TARGETS_STEM = "targets"
BYTES_A_NUMBER = 2  # float16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredTargets:
    """A teacher whose output is stored for certain crops; implements `AnyTeacher`.

    Attributes:
        table: The stored vectors; row i is the utterance with number i.
        sizes: Numbers of the embedding and of each stage, in the vectors' order.
        bank: The crops.
        number_of_row: Number of the utterance at each row of the feature table; -1 if the row is
            not for training.
        latest_of_row: Latest start of a crop in each row, frames.
        centres: The teacher's classifier; None if its file has none.
        device: Where outputs are put.
    """

    table: RowTable
    sizes: tuple[int, ...]
    bank: CropBank
    number_of_row: Index
    latest_of_row: Index
    centres: SpeakerCentres | None
    device: torch.device

    @property
    def facts(self) -> TeacherFacts:
        """The facts of the network, for crops of one length."""
        return TeacherFacts(
            embedding_dim=self.sizes[0],
            centres=self.centres,
            has_stages=len(self.sizes) > 1,
            crop_frames=self.bank.crop_frames,
            is_looked_up=True,
        )

    def to(self, device: torch.device) -> "StoredTargets":
        """Return the same targets with outputs on a device."""
        centres = None if self.centres is None else self.centres.to(device)
        return replace(self, device=device, centres=centres)

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:  # noqa: ARG002 - AnyTeacher's
        """Return the channels of each stage before the embedding."""
        return self.sizes[1:]

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:
        """Return the start of a stored crop of each utterance, drawn uniformly."""
        start_NC = self.bank.starts(self.number_of_row[row_N], latest_N)
        crop_N = rng.integers(0, self.bank.counts(latest_N))
        return np.take_along_axis(start_NC, crop_N[:, None], axis=1)[:, 0]

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Return the stored output for these crops.

        Raises:
            ValueError: A crop is not one of the stored ones.
        """
        number_B = self.number_of_row[crops.row_B]
        start_BC = self.bank.starts(number_B, self.latest_of_row[crops.row_B])
        # Starts follow from the bank's seed, so the store need not have them.
        is_it_BC = start_BC == crops.start_B[:, None]
        if not is_it_BC.any(axis=1).all():
            raise ValueError("crops must be drawn by draw_starts, got one that is not stored")
        vector_BW = self.table.gather(number_B, is_it_BC.argmax(axis=1)[:, None])[:, 0]
        # The embedding comes first in a vector, so without stages the rest is not copied.
        width = sum(self.sizes) if with_stages else self.sizes[0]
        # float32 only on the device: half as many bytes are copied to it.
        output_BW = to_device(torch.from_numpy(vector_BW[:, :width]), self.device).float()
        sizes = list(self.sizes) if with_stages else [width]
        embedding_BD, *stages = torch.split(output_BW, sizes, dim=1)
        return TeacherOutput(embedding_BD, tuple(stages))


def open_targets(
    teacher: Path,
    data: TrainingData,
    bank: CropBank,
    *,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
    build: Builder = build_shards,
) -> StoredTargets:
    """Open a teacher's targets for a bank of crops; compute those that are not in the cache.

    The store's key covers the log-mels, the teacher's weights, the bank and the kind of device;
    of a graph also what it takes.

    Args:
        teacher: Model file, or graph.
        data: The corpus, opened; every training utterance and copy is in the bank.
        bank: The crops.
        cache_dir: Folder of all stores.
        progress: Called with (utterances done, utterances in total) while targets are computed.
        build: The function that builds the shards.

    Raises:
        CheckpointError: The model file is missing or damaged.
        CorpusError: The teacher's output cannot be stored, since it is not finite in float16.
        DiskFullError: There is no room for the cache.
        StoreError: The cache cannot be written.
    """
    graph = open_graph(teacher) if is_graph(teacher) else None
    if graph is not None:
        bank = replace(bank, device="cpu")
    identity = {"teacher_sha256": file_sha256(teacher)} if graph is None else graph.settings
    source = _Source(
        teacher=teacher, graph=graph, identity=identity, bank=bank, cache_dir=cache_dir
    )
    requests = [source.request(data, copy) for copy in range(data.copy_row.shape[1])]
    stores = open_stores(requests, build, progress)
    number_of_row = np.full(len(data.features.length), -1)
    # All utterances of one copy, then those of the next, as in the stores.
    number_of_row[data.copy_row.T.ravel()] = np.arange(data.copy_row.size)
    return StoredTargets(
        table=RowTable.of(stores),
        sizes=tuple(stores[0].plan.settings["sizes"]),
        bank=bank,
        number_of_row=number_of_row,
        latest_of_row=bank.latest(data.features.length),
        centres=load_centres(teacher) if graph is None else None,
        device=torch.device("cpu"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The inputs of targets besides the log-mels.

    Attributes, beside the arguments of `open_targets`:
        graph: The graph that is the teacher; None for a network.
        identity: The settings that identify the teacher.
    """

    teacher: Path
    graph: Graph | None
    identity: dict[str, Any]
    bank: CropBank
    cache_dir: Path

    def request(self, data: TrainingData, copy: int) -> StoreRequest:
        """Return the store for one copy of every utterance; copy 0 is the original."""
        features = data.features.stores[copy]
        num_utterances = len(data.train_row)
        settings = {
            SOURCE: features.plan.key,
            **self.identity,
            "num_crops": self.bank.num_crops,
            "crop_seed": self.bank.seed,
            "crop_frames": self.bank.crop_frames,
            "copy": copy,
        }
        # Only where it is no CPU: the keys of stores from CPUs are those of earlier versions.
        if self.bank.device != "cpu":
            settings["device"] = self.bank.device
        # Without the number of utterances: the key of the log-mels covers their list.
        identity = {"format": FORMAT_VERSION, **settings}
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        folder = store_folder(self.cache_dir, TARGETS_STEM, key)
        # A complete store knows the sizes, so the teacher need not be loaded.
        known = complete_plan(folder, key)
        sizes = self._sizes(data) if known is None else tuple(known.settings["sizes"])
        kind = ShardKind(stem=TARGETS_STEM, vectors="crops", width=sum(sizes))

        def new_plan() -> StorePlan:
            row_bytes = kind.width * BYTES_A_NUMBER * self.bank.num_crops
            return StorePlan(
                format_version=FORMAT_VERSION,
                kind=kind,
                key=key,
                settings=settings | {"sizes": sizes},
                lists=features.plan.lists,
                audio_dirs=features.plan.audio_dirs,
                num_rows=rows_by_size([row_bytes] * num_utterances, DEFAULT_SHARD_BYTES),
            )

        def task(location: ShardLocation, first: int, num_rows: int) -> ShardTask:
            paths = data.train_paths[first : first + num_rows]
            return self._task_kind(data, copy, paths)(
                location=location,
                features=features.folder,
                paths=paths,
                first=first,
                first_number=copy * num_utterances + first,
                bank=self.bank,
                code_root=code_root(),
            )

        return StoreRequest(
            folder=folder,
            kind=kind,
            key=key,
            num_rows=num_utterances,
            new_plan=new_plan,
            task=task,
        )

    def _task_kind(
        self, data: TrainingData, copy: int, paths: tuple[str, ...]
    ) -> Callable[..., ShardTask]:
        """Return what makes the task of these utterances, from the fields of every shard."""
        if self.graph is None:
            return partial(
                TargetTask, teacher=self.teacher, sha256=self.identity["teacher_sha256"]
            )
        is_copy = copy > 0 and data.config is not None and self.graph.facts.takes_waves
        return partial(
            GraphTask,
            graph=self.graph,
            files=audio_files(data, paths, is_training=True),
            change=all_copies(data.config)[copy - 1] if is_copy and data.config else None,
        )

    def _sizes(self, data: TrainingData) -> tuple[int, ...]:
        """Return the sizes of the embedding and of each stage, found by embedding one crop."""
        if self.graph is not None:
            return (self.graph.facts.embedding_dim,)
        nowhere = np.zeros(1, np.int64)
        probe_BTF = data.features.crops(data.train_row[:1], nowhere, self.bank.crop_frames)
        teacher = load_teacher(self.teacher)
        return (teacher.model.embedding_dim, *teacher.stage_dims(probe_BTF))
