"""The CPU threads of a training, chosen by measurement, so that other work starves it little.

See `trainable.machine.thread_speeds` for what is measured.
"""

import copy
import time
from collections.abc import Callable, Sequence

import torch

from trainable.machine.cores import most_threads
from trainable.machine.memory_share import set_compute_threads
from trainable.machine.thread_speeds import (
    Speeds,
    best_threads,
    candidates,
    speeds_in_words,
    timed_speeds,
)
from trainable.training.trainer import Trainer

# An epoch that is so many times slower than the fastest is measured again.
STARVED = 3.0
# While fewer threads are used than could be, it is measured again after so many seconds.
AGAIN_S = 600.0
MAX_BATCH = 32

Measure = Callable[[Trainer, Sequence[int]], Speeds]


def measured_speeds(trainer: Trainer, numbers: Sequence[int]) -> Speeds:
    """Return the crops a second of forward and backward passes by number of threads.

    The passes are of a copy of the network on random crops, so the training is not changed.
    """
    training = trainer.config.training
    size = min(training.batch_size, MAX_BATCH)
    with torch.random.fork_rng(devices=[]):  # also dropout draws
        torch.manual_seed(0)
        model = copy.deepcopy(trainer.model).train()
        feat_BTF = torch.randn(size, training.crop_frames, trainer.config.model.num_mels)

        def step() -> int:
            model(feat_BTF, with_stages=False).embedding_BD.square().mean().backward()
            return size

        return timed_speeds(step, numbers)


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
        self._print(
            f"{why}{self.number} of at most {self._most} threads (measured: "
            f"{speeds_in_words(speeds)}); the number decides how sums are rounded: "
            "--threads fixes it"
        )
        return speeds[self.number]

    def _set(self, number: int) -> None:
        self.number = number
        set_compute_threads(number)
