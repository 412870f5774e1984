"""Latency of a student relative to its teacher on this machine's CPU, cached between runs.

Shapes: B batch, T frames, F mel bins.
"""

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import SpeakerModel
from spaces.files.atomic import write_text_atomically
from spaces.files.errors import ConfigError, DiskFullError
from trainable.cost.quiet_rounds import ratio_interval
from trainable.cost.timing import CPU_TIMER, Call, Timer
from trainable.machine.cache_dir import CACHE_VARIABLE
from trainable.machine.hardware import describe_hardware

ROUNDS = 15
WARMUP_ROUNDS = 3
# One thread, so that the ratio does not depend on how many cores are free.
NUM_THREADS = 1
# Of the order of the calls in a round.
_SEED = 0
# Of calls of the faster network; bounds the time where one is hardly measurable.
MOST_IN_A_ROW = 64
MOST_SETS = 4
# Upper over lower end of the 95 % interval. On two cores with eight more processes that compute,
# one set of rounds mostly had 1.1 to 1.3.
STEADY_WITHIN = 1.2
# 128 bits; every file also contains its whole key, which `get` compares.
KEY_DIGITS = 32
# Fields of the hardware that do not affect the speed of one thread.
IRRELEVANT_HARDWARE = ("num_cores", "python")


@dataclass(frozen=True, slots=True)
class Latency:
    """A student's CPU time divided by its teacher's.

    Attributes:
        ratio: The median over paired rounds.
        is_steady: Whether the 95 % interval of the median is narrow.
    """

    ratio: float
    is_steady: bool = True


def latency_ratio(
    student: tuple[SpeakerModel, Tensor],
    teacher: tuple[SpeakerModel, Tensor],
    timer: Timer = CPU_TIMER,
) -> Latency:
    """Return the student's CPU time divided by the teacher's.

    Timed from log-mels to the embedding, on one thread, in turns in this process. The time does
    not depend on the weights, so untrained networks can be timed.

    The faster network is called several times in a row, for about as long as the other: where
    other processes want the CPU too, both find their data gone from the CPU's caches equally
    often. Rounds are repeated until the ratio is steady, `MOST_SETS` times at most.

    Args:
        student: The network, in eval mode on the CPU, and the crops feat_BTF that it embeds.
        teacher: The same for the teacher.
        timer: Replaces `CPU_TIMER` in tests.
    """
    networks = {"student": student, "teacher": teacher}
    # The setting is that of the whole process, so it is restored.
    before = torch.get_num_threads()
    torch.set_num_threads(NUM_THREADS)
    try:
        with torch.inference_mode():
            once = {name: _calls(*network, 1) for name, network in networks.items()}
            seconds = timer(once, rounds=WARMUP_ROUNDS, warmup_rounds=WARMUP_ROUNDS, seed=_SEED)
            in_a_row = _numbers_in_a_row(seconds)
            calls = {name: _calls(*each, in_a_row[name]) for name, each in networks.items()}
            share = in_a_row["teacher"] / in_a_row["student"]
            ratios: list[float] = []
            for number in range(MOST_SETS):
                seconds = timer(calls, rounds=ROUNDS, warmup_rounds=0, seed=_SEED + number)
                pairs = zip(seconds["student"], seconds["teacher"], strict=True)
                ratios += [share * own / reference for own, reference in pairs]
                if _is_steady(ratios):
                    break
    finally:
        torch.set_num_threads(before)
    return Latency(statistics.median(ratios), _is_steady(ratios))


def _calls(model: SpeakerModel, feat_BTF: Tensor, number: int) -> Call:
    def call() -> None:
        for _ in range(number):
            model.embed(feat_BTF)

    return call


def _numbers_in_a_row(seconds: Mapping[str, list[float]]) -> dict[str, int]:
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    slowest = max(medians.values())
    return {
        name: min(MOST_IN_A_ROW, max(1, round(slowest / median)))
        for name, median in medians.items()
    }


def _is_steady(ratios: Sequence[float]) -> bool:
    interval = ratio_interval(ratios)
    return interval is not None and interval[1] <= STEADY_WITHIN * interval[0]


class LatencyCache:
    """The latency ratios measured on this machine, one small file each.

    A file contains its key. A file that is damaged or has another key counts as missing.

    Args:
        folder: Created when the first ratio is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        hardware = describe_hardware()
        self._machine = {k: v for k, v in hardware.items() if k not in IRRELEVANT_HARDWARE}

    def get(self, model_hash: str, teacher_sha256: str) -> float | None:
        """Return the ratio of an architecture to a teacher; None if it is not cached."""
        key = self._key(model_hash, teacher_sha256)
        try:
            entry = json.loads(self._file(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(entry, dict) or entry.get("key") != key:
            return None
        ratio = entry.get("ratio")
        is_time = isinstance(ratio, float) and math.isfinite(ratio) and ratio > 0
        return ratio if is_time else None

    def put(self, model_hash: str, teacher_sha256: str, ratio: float) -> None:
        """Store a ratio.

        Raises:
            DiskFullError: There is no room.
            ConfigError: The folder is not writable.
        """
        key = self._key(model_hash, teacher_sha256)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"key": key, "ratio": ratio}, indent=2)
            write_text_atomically(self._file(key), text + "\n")
        except DiskFullError:
            raise
        except OSError as error:
            raise ConfigError(
                f"{self._folder}: cannot keep a measured latency: {error.strerror}; set "
                f"${CACHE_VARIABLE} to a folder that can be written to"
            ) from error

    def _key(self, model_hash: str, teacher_sha256: str) -> dict[str, Any]:
        return {
            "model_hash": model_hash,
            "teacher_sha256": teacher_sha256,
            "machine": self._machine,
            # A ratio that was measured in another way is not comparable.
            "rounds": ROUNDS,
            "num_threads": NUM_THREADS,
            "clock": "CPU time of the thread, calls in a row",
        }

    def _file(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
        return self._folder / f"{digest}.json"
