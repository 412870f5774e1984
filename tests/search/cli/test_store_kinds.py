"""Descriptions of the kinds of stores."""

from typing import Any

import pytest

from search.cli.store_table import describe_amount, describe_kind
from trainable.features.request import LOG_MELS
from trainable.store.plan import FORMAT_VERSION, StorePlan
from trainable.store.shards import ShardKind

CROPS = ShardKind(stem="targets", vectors="crops", width=8)


def plan(kind: ShardKind, **settings: Any) -> StorePlan:
    return StorePlan(
        format_version=FORMAT_VERSION,
        kind=kind,
        key="0" * 64,
        settings=settings,
        lists=("list.txt",),
        audio_dirs=("/audio",),
        num_rows=(3,),
    )


def targets(copy: int) -> StorePlan:
    bank = {"num_crops": 8, "crop_frames": 200, "crop_seed": 1}
    return plan(CROPS, teacher_sha256="0123456789abcdef" * 4, copy=copy, **bank)


@pytest.mark.parametrize(
    ("store", "text"),
    [
        (plan(LOG_MELS), "log-mels"),
        (plan(LOG_MELS, augmentation={"copy": 2, "seed": 0}), "log-mels, copy 2"),
        (targets(0), "targets of teacher 0123456789ab, 8 crops of 200 frames, seed 1"),
        (targets(2), "targets of teacher 0123456789ab of copy 2, 8 crops of 200 frames, seed 1"),
    ],
)
def test_a_kind_is_described_with_its_distinguishing_settings(store: StorePlan, text: str) -> None:
    assert describe_kind(store) == text


def test_log_mels_are_counted_in_hours_and_targets_in_crops() -> None:
    assert describe_amount(plan(LOG_MELS), 450_000_000) == "1,250.00 hours"  # frames of 10 ms
    assert describe_amount(targets(0), 8_736) == "8,736 crops"
