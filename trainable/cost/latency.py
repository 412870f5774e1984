"""Latency of a student relative to its teacher on this machine's CPU, cached between runs.

Shapes: B batch, T frames, F mel bins.
"""

import hashlib
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
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
Timer = Callable[..., Mapping[str, list[float]]]

ROUNDS = 15
WARMUP_ROUNDS = 3
# One thread, so that the ratio does not depend on how many cores are free.
NUM_THREADS = 1
# Of the order of the calls in a round.
_SEED = 0
# 128 bits; every file also contains its whole key, which `get` compares.
KEY_DIGITS = 32
# Fields of the hardware that do not affect the speed of one thread.
IRRELEVANT_HARDWARE = ("num_cores", "python")


def time_interleaved(
    calls: Mapping[str, Call],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
    on_round: Callable[[], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time every call once per round, in a new random order each round.

    Taking turns spreads a slow phase of the machine over all calls, and the random order removes
    effects of what ran just before.

    Args:
        calls: The functions to time, by name.
        rounds: Number of timed rounds.
        warmup_rounds: Number of untimed rounds before them.
        seed: Seed of the order.
        on_round: Called after every round, outside of the timed part.
        clock: Returns seconds.

    Returns:
        The seconds of each call by name, one per round.
    """
    generator = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(warmup_rounds + rounds):
        for name in generator.sample(list(calls), len(calls)):
            start = clock()
            calls[name]()
            elapsed = clock() - start
            if round_number >= warmup_rounds:
                seconds[name].append(elapsed)
        if on_round:
            on_round()
    return seconds


# CPU time, so that a thread that waits for its core, on a machine with other work, is not slow.
CPU_TIMER: Timer = partial(time_interleaved, clock=time.thread_time)


def latency_ratio(
    student: tuple[SpeakerModel, Tensor],
    teacher: tuple[SpeakerModel, Tensor],
    timer: Timer = CPU_TIMER,
) -> float:
    """Return the student's CPU time divided by the teacher's: the median over paired rounds.

    Timed from log-mels to the embedding, on one thread, in turns in this process. The time does
    not depend on the weights, so untrained networks can be timed.

    Args:
        student: The network, in eval mode on the CPU, and the crops feat_BTF that it embeds.
        teacher: The same for the teacher.
        timer: A replacement for `time_interleaved` in tests.
    """
    calls = {
        name: lambda model=model, feat_BTF=feat_BTF: model.embed(feat_BTF)
        for name, (model, feat_BTF) in {"student": student, "teacher": teacher}.items()
    }
    # The setting is that of the whole process, so it is restored.
    before = torch.get_num_threads()
    torch.set_num_threads(NUM_THREADS)
    try:
        with torch.inference_mode():
            seconds = timer(calls, rounds=ROUNDS, warmup_rounds=WARMUP_ROUNDS, seed=_SEED)
    finally:
        torch.set_num_threads(before)
    pairs = zip(seconds["student"], seconds["teacher"], strict=True)
    return statistics.median(own / reference for own, reference in pairs)


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
            "clock": "CPU time of the thread",
        }

    def _file(self, key: Mapping[str, Any]) -> Path:
        text = json.dumps(key, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
        return self._folder / f"{digest}.json"
