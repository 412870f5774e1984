import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from results.journal import Journal, read_journal
from search.conductor import Conductor
from search.course import Budget
from search.early_stopping import SuccessiveHalving, asha_rungs
from search.proposals import Check, Proposals, no_limits
from search.samplers import SamplerKind
from search.shares import RaisedShare
from search.suggestions import Suggestions
from spaces.dimensions import Choice, Float
from spaces.space import Space
from trainable.config import TrialConfig

MAX_EPOCHS = 9
SPACE = Space(
    name="s",
    fixed={},
    dimensions=(
        Choice(name="loss.distillation", choices=("mse", "cosine")),
        Float(
            name="loss.temperature", low=1.0, high=8.0, log=True, when={"loss.distillation": "mse"}
        ),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Killed(Exception):  # noqa: N818 - not an error
    pass


def veer_pct(config: TrialConfig, epoch: int) -> float:
    """A learning curve; the same for the same config."""
    rng = np.random.default_rng([int(config.config_hash(), 16), epoch])
    return 5 + abs(np.log10(config.training.lr / 2e-3)) * 8 + 20 / epoch + rng.normal(scale=0.3)


@pytest.fixture
def conduct() -> Iterator[Callable[..., Conductor]]:
    """A function that gives a conductor on a journal, taking over what is in it."""
    with ExitStack() as journals:

        def make(
            path: Path,
            *,
            num_trials: int = 8,
            clock: Clock | None = None,
            space: Space = SPACE,
            kind: SamplerKind = "tpe",
            check: Check = no_limits,
            repetitions: int = 1,
            **budget,
        ):
            journal = journals.enter_context(Journal(path))
            conductor = Conductor(
                Proposals(
                    Suggestions(space, kind=kind, seed=0, passes=repetitions),
                    journal,
                    make_config=lambda s: TrialConfig.model_validate({"seed": s.seed} | s.tree),
                    check=check,
                    repetitions=repetitions,
                ),
                SuccessiveHalving(asha_rungs(1, 3, MAX_EPOCHS), 3),
                journal,
                budget=Budget(num_trials=num_trials, max_epochs=MAX_EPOCHS, **budget),
                clock=clock or Clock(),
            )
            conductor.replay(read_journal(path))
            return conductor

        yield make


def work(conductor: Conductor, *, at_once: int = 1, rng=None, epochs: int | None = None) -> None:
    """Plays the workers: trials finish an epoch in turn, or in random order.

    A trial handed out again repeats its last epoch first, as a restored one does.
    """
    running = {}
    while True:
        while len(running) < at_once and (course := conductor.next_trial()) is not None:
            running[course.trial] = (course, max(course.epoch, 1))
        if not running:
            return
        number = int(rng.choice(list(running))) if rng else min(running)
        if epochs is not None:
            if epochs == 0:
                raise Killed
            epochs -= 1
        course, epoch = running[number]
        if conductor.report(number, epoch, veer_pct(course.config, epoch), {"lr": 0.1}):
            running[number] = (course, epoch + 1)
        else:
            del running[number]


def story(path: Path) -> list[dict]:
    """The journal without its times."""
    return [{k: v for k, v in r.items() if k != "time_s"} for r in read_journal(path)]


def test_undisturbed_search_ends_every_trial_once(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    work(conductor)
    records = story(tmp_path / "j")
    ended = [r["trial"] for r in records if r["event"] == "trial_ended"]
    assert sorted(ended) == list(range(8))
    states = {trial.state for trial in conductor.trials}
    assert states == {"complete", "stopped_early"}
    assert conductor.is_finished
    for trial in conductor.trials:
        assert (trial.epoch == MAX_EPOCHS) == (trial.state == "complete")


# 13 trials: tpe samples at random before it has seen ten.
@pytest.mark.slow
def test_search_killed_at_any_epoch_goes_on_to_the_same_end(conduct, tmp_path):
    work(conduct(tmp_path / "whole", num_trials=13))
    whole = story(tmp_path / "whole")
    num_epochs = sum(r["event"] == "epoch" for r in whole)
    for epochs in range(0, num_epochs, 3):
        path = tmp_path / f"killed-{epochs}"
        with pytest.raises(Killed):
            work(conduct(path, num_trials=13), epochs=epochs)
        work(conduct(path, num_trials=13))
        assert story(path) == whole, epochs


@pytest.mark.slow
def test_search_torn_after_any_record_goes_on_to_the_same_end(conduct, tmp_path):
    work(conduct(tmp_path / "whole", num_trials=13))
    whole = story(tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    for kept in range(0, len(lines), 4):
        path = tmp_path / f"torn-{kept}"
        path.write_text("".join(lines[:kept]) + lines[kept][:20])
        work(conduct(path, num_trials=13))
        assert story(path) == whole, kept


@pytest.mark.parametrize("seed", range(5))
def test_several_at_a_time_killed_again_and_again_lose_and_repeat_nothing(conduct, tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "j"
    for _ in range(6):
        try:
            work(conduct(path, num_trials=12), at_once=3, rng=rng, epochs=int(rng.integers(20)))
        except Killed:
            continue
    work(conduct(path, num_trials=12), at_once=3, rng=rng)
    records = story(path)
    epochs = [(r["trial"], r["epoch"]) for r in records if r["event"] == "epoch"]
    assert len(epochs) == len(set(epochs))
    assert sorted(r["trial"] for r in records if r["event"] == "trial_ended") == list(range(12))
    for number in range(12):
        assert [e for t, e in epochs if t == number] == list(
            range(1, 1 + sum(t == number for t, _ in epochs))
        )
    # Every stop follows from the rungs as the journal has them.
    halving = SuccessiveHalving(asha_rungs(1, 3, MAX_EPOCHS), 3)
    stops = {
        r["trial"]
        for r in records
        if r["event"] == "epoch"
        and halving.decide(r["trial"], r["epoch"], r["veer_pct"]).stop
        and r["epoch"] < MAX_EPOCHS
    }
    assert stops == {r["trial"] for r in records if r.get("state") == "stopped_early"}


def test_every_record_is_written_before_it_takes_effect(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    conductor.next_trial()
    assert story(tmp_path / "j")[-1]["event"] == "trial_started"
    conductor.report(0, 1, 30.0, {"lr": 0.1})
    assert story(tmp_path / "j")[-1] == {
        "event": "epoch", "trial": 0, "epoch": 1, "veer_pct": 30.0, "lr": 0.1
    }  # fmt: skip


def test_repeated_epoch_changes_nothing(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    conductor.next_trial()
    assert conductor.report(0, 1, 30.0, {})
    before = story(tmp_path / "j")
    assert conductor.report(0, 1, 12.0, {})
    assert story(tmp_path / "j") == before
    assert (conductor.trials[0].veer_pct, conductor.num_reported) == ({1: 30.0}, 1)


def test_stopped_trial_says_why(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    for number in (0, 1):
        conductor.next_trial()
        conductor.report(number, 1, 30.0 + number, {})
    assert story(tmp_path / "j")[-1] == {
        "event": "trial_ended",
        "trial": 1,
        "state": "stopped_early",
        "reason": "VEER above 30.00 %, the limit at rung 1",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_trial_without_a_finite_veer_has_diverged(conduct, tmp_path, value):
    conductor = conduct(tmp_path / "j", num_trials=2)
    conductor.next_trial()
    conductor.report(0, 1, 30.0, {})
    assert not conductor.report(0, 2, value, {})
    ended = story(tmp_path / "j")[-1]
    assert (ended["state"], ended["reason"]) == ("diverged", "the VEER of epoch 2 is not a number")
    assert conductor.trials[0].best_veer_pct == 30.0
    json.dumps(story(tmp_path / "j"), allow_nan=False)
    work(conduct(tmp_path / "j", num_trials=2))
    assert sum(r["event"] == "trial_ended" for r in story(tmp_path / "j")) == 2


def test_failed_trial_is_not_tried_again_and_teaches_nothing(conduct, tmp_path):
    conductor = conduct(tmp_path / "j", num_trials=2)
    conductor.next_trial()
    conductor.end(0, "failed", "out of memory")
    conductor.end(0, "failed", "again")
    work(conductor)
    ended = [r for r in story(tmp_path / "j") if r["event"] == "trial_ended"]
    assert [(r["trial"], r["state"], r["reason"]) for r in ended] == [
        (0, "failed", "out of memory"),
        (1, "complete", None),
    ]


def test_halted_search_ends_after_the_running_epochs(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    conductor.next_trial()
    conductor.next_trial()
    conductor.halt("interrupted")
    conductor.halt("time_limit")
    assert not conductor.report(0, 1, 30.0, {})
    assert conductor.next_trial() is None
    assert conductor.halted == "interrupted"
    assert not any(r["event"] == "trial_ended" for r in story(tmp_path / "j"))
    again = conduct(tmp_path / "j")
    assert [again.next_trial().trial for _ in range(3)] == [0, 1, 2]


def test_time_limit_counts_on_the_given_clock(conduct, tmp_path):
    clock = Clock()
    conductor = conduct(tmp_path / "j", clock=clock, time_limit_s=60.0)
    conductor.next_trial()
    clock.now_s += 59.9
    assert conductor.report(0, 1, 30.0, {})
    clock.now_s += 0.1
    assert not conductor.report(0, 2, 25.0, {})
    assert (conductor.halted, conductor.trials[0].epoch) == ("time_limit", 2)


def test_more_trials_can_be_asked_of_a_finished_search(conduct, tmp_path):
    work(conduct(tmp_path / "j", num_trials=4))
    work(conduct(tmp_path / "j", num_trials=8))
    work(conduct(tmp_path / "whole", num_trials=8))
    assert story(tmp_path / "j") == story(tmp_path / "whole")


HALF, WHOLE = (RaisedShare(resource="gpu", share=share) for share in (0.5, 1.0))


def without_memory(path: Path) -> list[dict]:
    return [r for r in story(path) if r["event"] != "infrastructure"]


def test_trial_without_memory_is_handed_out_next_with_a_larger_share(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    first, second = conductor.next_trial(), conductor.next_trial()
    conductor.report(0, 1, 30.0, {})
    assert first.raised is None
    conductor.out_of_memory(0, HALF, "Tried to allocate 2 GiB")
    assert story(tmp_path / "j")[-1] == {
        "event": "infrastructure", "kind": "out_of_memory", "trial": 0, "epoch": 1,
        "resource": "gpu", "share": 0.5, "message": "Tried to allocate 2 GiB",
    }  # fmt: skip
    assert (first.is_running, first.state, second.is_running) == (False, None, True)
    assert conductor.has_running
    assert not conductor.is_finished
    again = conductor.next_trial()
    assert (again, again.trial, again.raised, again.epoch) == (first, 0, HALF, 1)
    assert conductor.next_trial().trial == 2


def test_nobody_learns_of_a_lack_of_memory(conduct, tmp_path):
    """Neither the sampler, nor early stopping, nor the budget: all else is as without it."""
    work(conduct(tmp_path / "whole", num_trials=13))
    conductor = conduct(tmp_path / "j", num_trials=13)
    lacks = {(1, 0): HALF, (2, 1): HALF, (4, 0): HALF, (4, 3): WHOLE}
    while (course := conductor.next_trial()) is not None:
        epoch = max(course.epoch, 1)
        while True:
            if raised := lacks.pop((course.trial, epoch - 1), None):
                conductor.out_of_memory(course.trial, raised, "full")
                break
            pct = veer_pct(course.config, epoch)
            if not conductor.report(course.trial, epoch, pct, {"lr": 0.1}):
                break
            epoch += 1
    reached = [key for key in [(1, 0), (2, 1), (4, 0), (4, 3)] if key not in lacks]
    assert len(reached) >= 3
    assert without_memory(tmp_path / "j") == story(tmp_path / "whole")
    assert len(story(tmp_path / "j")) == len(story(tmp_path / "whole")) + len(reached)


def test_search_that_is_killed_keeps_the_larger_share(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    conductor.next_trial()
    conductor.report(0, 1, 30.0, {})
    conductor.out_of_memory(0, HALF, "full")
    conductor.next_trial()
    conductor.out_of_memory(0, WHOLE, "full")
    again = conduct(tmp_path / "j").next_trial()
    assert (again.trial, again.raised, again.veer_pct) == (0, WHOLE, {1: 30.0})


def test_trial_that_ended_is_not_handed_out_again(conduct, tmp_path):
    conductor = conduct(tmp_path / "j", num_trials=1)
    conductor.next_trial()
    conductor.end(0, "failed", "out of memory with a whole GPU: full")
    before = story(tmp_path / "j")
    conductor.out_of_memory(0, WHOLE, "full")
    assert story(tmp_path / "j") == before
    assert conductor.next_trial() is None
    assert conductor.is_finished
