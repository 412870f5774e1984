import itertools
from pathlib import Path

import numpy as np
import pytest

from results.journal.journal import Journal, read_journal
from results.records.search_records import RepeatedSuggestion
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from search.config.search_config import SearchConfig
from search.loop.setup import make_coordinator
from search.simulation.journal_in_memory import JournalInMemory
from search.simulation.objective import SimulatedTrial
from search.simulation.replay import replay
from spaces.dimensions import Choice, Float
from spaces.space import Space
from trainable.corpus.corpus import CorpusConfig

MAX_EPOCHS = 9
SPACE = Space(
    name="s",
    fixed={"model": {"family": "mlp_mixer"}},
    dimensions=(
        Choice(name="model.num_blocks", choices=(2, 4)),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)


class Curves:
    """Curves that depend on params and seed only; deeper students take twice as long."""

    def __init__(self, num_epochs=MAX_EPOCHS, most=1000):
        self.num_epochs, self.left = num_epochs, most

    def trial(self, course):
        if self.left == 0:
            return None
        self.left -= 1
        params = course.suggestion.params
        rng = np.random.default_rng(course.config.seed)
        epochs = np.arange(1, self.num_epochs + 1)
        veer_pct = 5 + 8 * abs(np.log10(params["training.lr"] / 2e-3)) + 20 / epochs
        return SimulatedTrial(
            veer_pct=veer_pct + rng.normal(scale=0.3, size=self.num_epochs),
            dprime=3 - 10 / veer_pct,
            epoch_s=10.0 * params["model.num_blocks"],
        )


def settings(**values):
    none = Path("none")
    corpus = CorpusConfig(train_dir=none, train_list=none, val_dir=none, val_list=none)
    scheduler = {"grace_epochs": 1} | values.pop("scheduler", {})
    return SearchConfig(
        corpus=corpus, space=none, max_epochs=MAX_EPOCHS, scheduler=scheduler,
        **({"num_trials": 14} | values),
    )  # fmt: skip


def played(config, objective=None, *, journal=None, num_workers=1):
    """Play a search; return its epochs, its coordinator and its journal."""
    journal = journal or JournalInMemory()
    made = []

    def make(clock):
        made.append(make_coordinator(config, SPACE, journal, clock=clock))
        return made[0]

    epochs = list(replay(make, objective or Curves(), num_workers=num_workers))
    return epochs, made[0], journal


def untimed(records):
    return [{k: v for k, v in r.as_dict().items() if k != "time_s"} for r in records]


def test_a_search_is_played_to_its_end():
    epochs, coordinator, journal = played(settings())
    assert coordinator.is_finished
    assert len(coordinator.own_trials) == 14
    assert {trial.state for trial in coordinator.trials} == {"complete", "stopped_early"}
    reported = [(r.trial, r.epoch, r.veer_pct) for r in journal.records
                if isinstance(r, EpochEnded)]  # fmt: skip
    assert [(e.trial, e.epoch, e.veer_pct) for e in epochs] == reported
    stopped = {e.trial for e in epochs if not e.goes_on and e.epoch < MAX_EPOCHS}
    assert stopped == {t.trial for t in coordinator.trials if t.state == "stopped_early"}


def test_the_journal_without_a_file_has_the_records_of_one_with(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as file:
        on_disk = played(settings(), journal=file)[0]
    in_memory, _, journal = played(settings())
    assert in_memory == on_disk
    assert untimed(journal.records) == untimed(read_journal(tmp_path / "journal.jsonl"))


def test_a_played_journal_restores_a_coordinator():
    _, coordinator, journal = played(settings())
    again = make_coordinator(settings(), SPACE, JournalInMemory())
    again.replay(journal.records)
    assert again.is_finished
    assert [t.veer_pct for t in again.trials] == [t.veer_pct for t in coordinator.trials]


def test_followers_get_the_records():
    journal, found = JournalInMemory(), []
    journal.follow(found.append)
    played(settings(num_trials=2), journal=journal)
    assert found == journal.records


@pytest.mark.parametrize("num_workers", [1, 3])
def test_the_same_search_is_played_the_same_way(num_workers):
    one = played(settings(), num_workers=num_workers)[0]
    assert one == played(settings(), num_workers=num_workers)[0]
    assert one != played(settings(seed=1), num_workers=num_workers)[0]


def test_the_clock_runs_forward_and_no_worker_waits():
    epochs, coordinator, _ = played(settings(), num_workers=3)
    times_s = [epoch.time_s for epoch in epochs]
    assert times_s == sorted(times_s)
    assert coordinator.elapsed_s == times_s[-1]
    blocks = {t.trial: t.suggestion.params["model.num_blocks"] for t in coordinator.trials}
    for worker in range(3):
        own = [epoch for epoch in epochs if epoch.worker == worker]
        lengths_s = np.diff([0.0, *[epoch.time_s for epoch in own]])
        assert lengths_s.tolist() == [10.0 * blocks[epoch.trial] for epoch in own]
        for before, after in itertools.pairwise(own):
            same = after.trial == before.trial
            assert same == before.goes_on
            assert after.epoch == (before.epoch + 1 if same else 1)


def test_a_time_limit_is_one_of_the_simulated_clock():
    epochs, coordinator, _ = played(settings(time_limit_s=200, num_trials=100))
    assert coordinator.halted == "time_limit"
    # The epoch that was running is finished.
    assert epochs[-2].time_s < 200 <= epochs[-1].time_s


def test_repeats_and_controls_are_played_once_own_trials_have_ended():
    config = settings(repeat=2, finalists=2, control=1, num_trials=6)
    epochs, coordinator, journal = played(config, num_workers=2)
    assert coordinator.is_finished
    started = [r for r in journal.records if isinstance(r, TrialStarted)]
    kinds = [r.follow_up for r in started]
    assert kinds == [None] * 6 + ["repeat"] * 4 + ["control"]
    for record in started[6:]:
        assert max(e.epoch for e in epochs if e.trial == record.trial) == MAX_EPOCHS
    last_own = max(i for i, e in enumerate(epochs) if e.trial < 6)
    assert all(e.trial < 6 for e in epochs[:last_own])


def test_a_trial_that_diverges_ends():
    class Diverging(Curves):
        def trial(self, course):
            del course
            return SimulatedTrial(veer_pct=[30.0, float("nan"), 20.0])

    epochs, coordinator, _ = played(settings(num_trials=2), Diverging())
    assert [(e.trial, e.epoch) for e in epochs if not e.goes_on] == [(0, 2), (1, 2)]
    assert {trial.state for trial in coordinator.trials} == {"diverged"}


def test_a_search_ends_where_nothing_is_left_to_train():
    epochs, coordinator, journal = played(settings(), Curves(most=3), num_workers=2)
    assert {epoch.trial for epoch in epochs} == {0, 1, 2}
    ended = [(r.trial, r.state, r.reason) for r in journal.records if isinstance(r, TrialEnded)]
    assert (3, "failed", "there is nothing left to train") in ended
    assert len(coordinator.trials) == 4


def test_a_trial_with_too_few_epochs_fails():
    config = settings(num_trials=1, scheduler={"kind": "none"})
    epochs, coordinator, journal = played(config, Curves(num_epochs=4))
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert coordinator.trials[0].state == "failed"
    assert journal.records[-1].reason == "there are only 4 epochs of it"


def test_a_caller_may_stop_early():
    made = []

    def make(clock):
        made.append(make_coordinator(settings(), SPACE, JournalInMemory(), clock=clock))
        return made[0]

    assert len(list(itertools.islice(replay(make, Curves()), 5))) == 5
    assert made[0].num_epochs == 5


def test_epochs_report_dprime_and_time():
    _, _, journal = played(settings(num_trials=1))
    first = next(r for r in journal.records if isinstance(r, EpochEnded))
    blocks = journal.records[0].params["model.num_blocks"]
    assert (first.train_s, first.dprime) == (10.0 * blocks, pytest.approx(3 - 10 / 25, abs=1))
    assert not any(isinstance(r, RepeatedSuggestion) for r in journal.records)


def test_no_worker_is_refused_at_once():
    with pytest.raises(ValueError, match="num_workers must be at least 1, got 0"):
        replay(lambda _: None, Curves(), num_workers=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"veer_pct": []}, "must have an epoch, got none"),
        ({"veer_pct": [1.0, 2.0], "dprime": [1.0]}, "one d' for each of 2 epochs .* got 1"),
        ({"veer_pct": [1.0], "epoch_s": 0.0}, "epoch_s must be above 0 and finite, got 0.0"),
        ({"veer_pct": [1.0], "epoch_s": float("nan")}, "epoch_s .* got nan"),
        ({"veer_pct": [1.0], "epoch_s": float("inf")}, "epoch_s .* got inf"),
    ],
)
def test_a_simulated_trial_refuses_what_cannot_be_played(values, message):
    with pytest.raises(ValueError, match=message):
        SimulatedTrial(**values)
