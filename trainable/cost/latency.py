"""Time of a network on this machine's CPU over the teacher's, remembered from run to run.

Shapes: B batch, T frames, F mel bins.
"""

import hashlib
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import SpeakerModel
from spaces.files.atomic import write_text_atomically
from spaces.files.errors import ConfigError, DiskFullError
from trainable.machine.cache_dir import CACHE_VARIABLE
from trainable.machine.hardware import describe_hardware

Call = Callable[[], object]


def time_interleaved(
    calls: Mapping[str, Call],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
    on_round: Callable[[], None] | None = None,
) -> dict[str, list[float]]:
    """Times every call once a round, in an order drawn anew for each round.

    Args:
        calls: By name.
        rounds: Timed rounds.
        warmup_rounds: Rounds before them that are not timed.
        seed: Of the order.
        on_round: Told of every finished round, outside of what is timed.

    Returns:
        Seconds of each call by name, in the order of the rounds.
    """
    generator = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(warmup_rounds + rounds):
        for name in generator.sample(list(calls), len(calls)):
            start = time.perf_counter()
            calls[name]()
            elapsed = time.perf_counter() - start
            if round_number >= warmup_rounds:
                seconds[name].append(elapsed)
        if on_round:
            on_round()
    return seconds


Timer = Callable[..., Mapping[str, list[float]]]

ROUNDS = 15
WARMUP_ROUNDS = 3
NUM_THREADS = 1
SEED = 0
KEY_DIGITS = 32
# Neither changes how fast one thread is.
IRRELEVANT_HARDWARE = ("num_cores", "python")


def latency_ratio(
    student: tuple[SpeakerModel, Tensor],
    teacher: tuple[SpeakerModel, Tensor],
    timer: Timer = time_interleaved,
) -> float:
    """How many times as long the student takes as the teacher: the median over paired rounds.

    From log-mels to the embedding, one thread; both take turns in this process. The time does
    not depend on the weights, so freshly drawn ones do.

    Args:
        student: The network, in eval mode on the CPU, and the crops feat_BTF that it embeds.
        teacher: Likewise; the same crops where it has the same mel bins.
        timer: Stands in for `time_interleaved` in tests.
    """
    calls = {
        name: lambda model=model, feat_BTF=feat_BTF: model.embed(feat_BTF)
        for name, (model, feat_BTF) in {"student": student, "teacher": teacher}.items()
    }
    before = torch.get_num_threads()
    torch.set_num_threads(NUM_THREADS)
    try:
        with torch.inference_mode():
            seconds = timer(calls, rounds=ROUNDS, warmup_rounds=WARMUP_ROUNDS, seed=SEED)
    finally:
        torch.set_num_threads(before)
    pairs = zip(seconds["student"], seconds["teacher"], strict=True)
    return statistics.median(own / reference for own, reference in pairs)


class LatencyCache:
    """Ratios that were measured on this machine, a small file each.

    A file holds what it was measured for; one that is damaged, or that belongs to something
    else, is as good as none.

    Args:
        folder: Made when the first ratio is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        hardware = describe_hardware()
        self._machine = {k: v for k, v in hardware.items() if k not in IRRELEVANT_HARDWARE}

    def get(self, model_hash: str, teacher_sha256: str) -> float | None:
        """The ratio of this architecture to this teacher, None where it is not known."""
        key = self._key(model_hash, teacher_sha256)
        try:
            kept = json.loads(self._file(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(kept, dict) or kept.get("key") != key:
            return None
        ratio = kept.get("ratio")
        is_time = isinstance(ratio, float) and math.isfinite(ratio) and ratio > 0
        return ratio if is_time else None

    def put(self, model_hash: str, teacher_sha256: str, ratio: float) -> None:
        """Remember a ratio.

        Raises:
            DiskFullError: There is no room.
            ConfigError: The folder cannot be written to.
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
            "rounds": ROUNDS,
            "num_threads": NUM_THREADS,
        }

    def _file(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
        return self._folder / f"{digest}.json"
