"""The threads of a training: all cores, unless others take them."""

from collections.abc import Sequence

import pytest
import torch

from tests.worlds.tiny_models import SMALL_STUDENT
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData
from trainable.machine import thread_speeds
from trainable.machine.cores import most_threads
from trainable.machine.thread_speeds import best_threads, candidates, choose_threads
from trainable.training import thread_choice
from trainable.training.thread_choice import ThreadChoice, measured_speeds
from trainable.training.trainer import Trainer


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers that were set, in place of setting them."""
    found: list[int] = []
    for module in (thread_choice, thread_speeds):
        monkeypatch.setattr(module, "set_compute_threads", found.append)
        monkeypatch.setattr(module, "most_threads", lambda: 4)
    return found


class Machine:
    """Speeds by the number of threads, as others leave them."""

    def __init__(self, **speeds: float) -> None:
        self.speeds = speeds
        self.num_asked = 0

    def __call__(self, _: object, numbers: Sequence[int]) -> dict[int, float]:
        self.num_asked += 1
        return {number: self.speeds[f"of_{number}"] for number in numbers}


def choice(machine: Machine, fixed: int | None = None) -> tuple[ThreadChoice, list[str]]:
    lines: list[str] = []
    return ThreadChoice(fixed, lines.append, machine), lines


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ({4: 100.0, 2: 60.0, 1: 30.0}, 4),
        # More threads stay, where they lose little: the rounding is the same in every run.
        ({4: 90.0, 2: 100.0, 1: 100.0}, 4),
        # A shared machine, as it was measured.
        ({2: 12.0, 1: 45.0}, 1),
        ({4: 20.0, 2: 50.0, 1: 45.0}, 2),
        ({1: 7.0}, 1),
    ],
)
def test_the_most_threads_that_lose_little_are_chosen(speeds, expected) -> None:
    assert best_threads(speeds) == expected
    # Never more than a quarter against one thread.
    assert speeds[expected] > 0.75 * speeds[1]


@pytest.mark.parametrize(("most", "numbers"), [(1, [1]), (2, [2, 1]), (6, [6, 3, 1])])
def test_halves_are_measured(most: int, numbers: list[int]) -> None:
    assert candidates(most) == numbers


def test_a_starved_epoch_is_measured_again_and_printed(threads: list[int]) -> None:
    machine = Machine(of_4=100, of_2=60, of_1=30)
    chosen, lines = choice(machine)
    chosen.begin(None)  # type: ignore[arg-type]
    assert (chosen.number, machine.num_asked) == (4, 1)
    assert not chosen.after_epoch(None, 80)  # type: ignore[arg-type]
    assert not chosen.after_epoch(None, 40)  # type: ignore[arg-type]
    machine.speeds = {"of_4": 10, "of_2": 15, "of_1": 25}
    assert chosen.after_epoch(None, 9)  # type: ignore[arg-type]
    assert (chosen.number, machine.num_asked) == (1, 2)
    assert threads == [4, 1]
    assert lines[-1].startswith("9 utt/s after 100: 1 of at most 4 threads (measured: 10 crops/s")
    # Slow for another reason, such as the disk: not measured in every epoch.
    assert not chosen.after_epoch(None, 9)  # type: ignore[arg-type]
    assert machine.num_asked == 2


def test_where_others_have_left_more_threads_are_used_again(monkeypatch) -> None:
    machine = Machine(of_4=10, of_2=15, of_1=25)
    chosen, _ = choice(machine)
    chosen.begin(None)  # type: ignore[arg-type]
    assert chosen.number == 1
    assert not chosen.after_epoch(None, 20)  # type: ignore[arg-type]
    machine.speeds = {"of_4": 100, "of_2": 60, "of_1": 30}
    monkeypatch.setattr(thread_choice, "AGAIN_S", 0.0)
    assert chosen.after_epoch(None, 28)  # type: ignore[arg-type]
    assert chosen.number == 4


def test_a_fixed_number_is_not_measured(threads: list[int]) -> None:
    machine = Machine()
    chosen, lines = choice(machine, fixed=3)
    chosen.begin(None)  # type: ignore[arg-type]
    assert not chosen.after_epoch(None, 0.1)  # type: ignore[arg-type]
    assert (threads, lines, machine.num_asked) == ([3], [], 0)


def test_a_measurement_changes_nothing_of_the_training(
    data: TrainingData, threads: list[int]
) -> None:
    config = TrialConfig.model_validate(SMALL_STUDENT | {"loss": {"distillation": "none"}})
    trainers = [Trainer(config, data, device=torch.device("cpu")) for _ in range(2)]
    before = torch.get_rng_state()
    speeds = measured_speeds(trainers[0], [2, 1])
    assert torch.equal(torch.get_rng_state(), before)
    assert set(speeds) == {1, 2} == set(threads)
    assert min(speeds.values()) > 0
    first, second = (trainer.run_epoch() for trainer in trainers)
    assert first.loss_total == second.loss_total
    assert first.veer_pct == second.veer_pct


def test_openmps_number_is_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in (("3", 3), ("2,1", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert most_threads() == expected
    monkeypatch.setattr("trainable.machine.cores.available_cores", lambda: 5)
    for given in ("", "many", "0"):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert most_threads() == 5


def test_work_that_is_no_training_gets_threads_by_measurement_too(threads, monkeypatch) -> None:
    monkeypatch.setattr(thread_speeds, "timed_speeds", lambda *_: {4: 10.0, 2: 50.0, 1: 45.0})
    line = choose_threads(lambda: 1)
    assert threads == [2]
    measured = "10 crops/s with 4, 50 crops/s with 2, 45 crops/s with 1"
    assert line == f"2 of at most 4 threads (measured: {measured})"
    monkeypatch.setattr(thread_speeds, "most_threads", lambda: 1)
    assert choose_threads(lambda: 1) is None


def test_numbers_take_turns_and_the_first_round_is_not_counted(threads) -> None:
    calls: list[int] = []

    def work() -> int:
        calls.append(threads[-1])
        return 3

    speeds = thread_speeds.timed_speeds(work, [2, 1])
    assert calls == [2, 1] * (thread_speeds.MAX_ROUNDS + 1)
    assert all(speed > 0 for speed in speeds.values())
