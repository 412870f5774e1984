"""A search that ends once a trial meets its target."""

from tests.worlds.proposing import WIDE, events


def test_search_ends_when_a_trial_meets_the_target(begin, tmp_path):
    search = begin(WIDE, num_trials=30, target_pct=20.0)
    running = [search.coordinator.next_trial() for _ in range(2)]
    assert search.coordinator.report(running[0].trial, 1, 20.5, {})
    assert not search.coordinator.report(running[1].trial, 1, 20.0, {})
    assert not search.coordinator.is_finished
    assert not search.coordinator.report(running[0].trial, 2, 22.0, {})
    assert search.coordinator.is_finished
    assert search.coordinator.next_trial() is None
    reasons = {r["trial"]: r["reason"] for r in events(tmp_path / "journal", "trial_ended")}
    assert reasons == dict.fromkeys((0, 1), "trial 1 met the target of 20 %")


def test_unfinished_trials_of_a_met_search_are_not_handed_out_again(begin):
    search = begin(WIDE, num_trials=30, target_pct=20.0)
    search.coordinator.next_trial()
    search.coordinator.next_trial()
    search.coordinator.report(0, 1, 19.0, {})
    again = begin(WIDE, num_trials=30, target_pct=20.0)
    assert again.coordinator.next_trial() is None
    assert again.coordinator.is_finished
