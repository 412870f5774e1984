"""The CPU threads of a training, chosen by measurement, so that other work starves it little.

On a machine that others use too, two threads can be several times slower than one: each operator
ends with its slowest thread, and waits for one that has no CPU.
"""

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from trainable.machine.cores import most_threads
from trainable.machine.memory_share import set_compute_threads
from trainable.training.trainer import Trainer

# More threads are kept as long as they lose less than this against fewer: the number decides how
# sums are rounded, and on a machine of one's own it should be the same in every run.
KEPT_SHARE = 0.8
# An epoch that is so many times slower than the fastest is measured again.
STARVED = 3.0
# While fewer threads are used than could be, it is measured again after so many seconds.
AGAIN_S = 600.0
MEASURED_S = 6.0
MIN_ROUNDS, MAX_ROUNDS = 2, 5
MAX_BATCH = 32

Speeds = Mapping[int, float]
Measure = Callable[[Trainer, Sequence[int]], Speeds]


def candidates(most: int) -> list[int]:
    """Return the numbers of threads to measure: `most`, its halves, and 1."""
    found = [most]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def best_threads(speeds: Speeds) -> int:
    """Return the largest number of threads that loses little against the fastest."""
    enough = KEPT_SHARE * max(speeds.values())
    return max(number for number, speed in speeds.items() if speed >= enough)


def measured_speeds(trainer: Trainer, numbers: Sequence[int]) -> Speeds:
    """Return the crops a second of forward and backward passes by number of threads.

    The passes are of a copy of the network on random crops, so the training is not changed. The
    numbers take turns, since the load of others changes.
    """
    training = trainer.config.training
    size = min(training.batch_size, MAX_BATCH)
    with torch.random.fork_rng(devices=[]):  # also dropout draws
        torch.manual_seed(0)
        model = copy.deepcopy(trainer.model).train()
        feat_BTF = torch.randn(size, training.crop_frames, trainer.config.model.num_mels)
        seconds: dict[int, list[float]] = {number: [] for number in numbers}
        began_s = time.perf_counter()
        for done in range(MAX_ROUNDS + 1):
            for number in numbers:
                set_compute_threads(number)
                start_s = time.perf_counter()
                model(feat_BTF, with_stages=False).embedding_BD.square().mean().backward()
                if done:  # the first round is a warm-up
                    seconds[number].append(time.perf_counter() - start_s)
            if done >= MIN_ROUNDS and time.perf_counter() - began_s > MEASURED_S:
                break
    return {number: size / statistics.median(each) for number, each in seconds.items()}


class ThreadChoice:
    """The number of threads of one training on the CPU.

    Args:
        fixed: The number; None to choose it by measurement.
        print_line: Receives a line about every choice.
        measure: Measures speeds; another one in tests.

    Attributes:
        number: Threads in use; 0 before `begin`.
    """

    def __init__(
        self,
        fixed: int | None,
        print_line: Callable[[str], None],
        measure: Measure = measured_speeds,
    ) -> None:
        self.number = 0
        self._print, self._measure = print_line, measure
        self._most = fixed or most_threads()
        self._fastest = 0.0
        self._chosen_s = 0.0
        self._is_open = self._most > 1 and not fixed

    def begin(self, trainer: Trainer) -> None:
        """Choose before the first epoch."""
        if self._is_open:
            self._fastest = self._choose(trainer, "")
        else:
            self._set(self._most)

    def after_epoch(self, trainer: Trainer, samples_per_s: float) -> bool:
        """Choose again if the epoch was starved, or if more threads may help by now.

        Returns:
            Whether the number is another one now.
        """
        before = self.number
        if not self._is_open:
            return False
        if STARVED * samples_per_s < self._fastest:
            why = f"{samples_per_s:.0f} utt/s after {self._fastest:.0f}: "
            self._choose(trainer, why)
            # Where reading the data is what is slow, threads are no remedy: once is enough.
            self._fastest = samples_per_s
        elif before < self._most and time.monotonic() - self._chosen_s > AGAIN_S:
            self._choose(trainer, "")
        self._fastest = max(self._fastest, samples_per_s)
        return self.number != before

    def _choose(self, trainer: Trainer, why: str) -> float:
        speeds = self._measure(trainer, candidates(self._most))
        self._set(best_threads(speeds))
        self._chosen_s = time.monotonic()
        each = ", ".join(f"{speed:.0f} crops/s with {number}" for number, speed in speeds.items())
        self._print(
            f"{why}{self.number} of at most {self._most} threads (measured: {each}); the number "
            "decides how sums are rounded: --threads fixes it"
        )
        return speeds[self.number]

    def _set(self, number: int) -> None:
        self.number = number
        set_compute_threads(number)
