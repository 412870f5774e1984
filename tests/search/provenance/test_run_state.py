"""A run folder's settings and space are the journal's, or the search does not go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.journal.journal import Journal, read_journal
from results.records.record import Record
from results.records.search_records import SearchEnded, SearchStarted
from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.config.sections import SchedulerConfig
from search.provenance import run_state
from search.provenance.run_state import (
    differing_values,
    earlier_records,
    is_finished,
    open_run,
    resumed_settings,
)
from spaces.files.errors import RunError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.damage import DAMAGES
from tests.worlds.simulated_search import make_coordinator, work

SPACE = {
    "model": {"family": "mlp_mixer", "hidden_dim": {"choices": [16, 24, 32]}},
    "loss": {"distillation": "none"},
    "training": {"lr": {"low": 1e-4, "high": 3e-3, "log": True}},
    "search": {"max_epochs": 9},
}


@pytest.fixture
def settings(make_corpus: Callable[..., Path], tmp_path: Path) -> SearchConfig:
    """Of a search on the tiny corpus."""
    write_yaml(tmp_path / "my-space.yaml", SPACE)
    corpus = make_corpus(tmp_path / "corpus")
    given = {"corpus": corpus, "space": tmp_path / "my-space.yaml", "num_trials": 4}
    return read_search_config(None, given)


@pytest.fixture
def run(settings: SearchConfig, tmp_path: Path) -> Path:
    """A run folder of that search, interrupted at once."""
    folder = tmp_path / "run"
    with Journal(folder / "journal.jsonl") as journal:
        open_run(settings, folder, journal, ())
        journal.append(SearchEnded(reason="interrupted"))
    return folder


def edit(file: Path, **values: Any) -> None:
    write_yaml(file, read_yaml(file).data | values)


def test_the_journal_holds_settings_and_space(run: Path) -> None:
    started = read_journal(run / "journal.jsonl")[0]
    assert started.space == SPACE
    assert started.settings["num_trials"] == 4


def test_an_unaltered_folder_goes_on(run: Path, settings: SearchConfig) -> None:
    assert resumed_settings(run).model_dump(exclude={"space"}) == settings.model_dump(
        exclude={"space"}
    )
    assert len(earlier_records(settings, run)) == 2


@pytest.mark.parametrize("name", ["search.yaml", "space.yaml"])
def test_a_missing_file_is_rebuilt_from_the_journal(run: Path, name: str) -> None:
    before = read_yaml(run / name).data
    expected = resumed_settings(run)
    (run / name).unlink()
    assert resumed_settings(run) == expected
    assert read_yaml(run / name).data == before


def test_another_space_is_refused_with_the_keys_that_differ(
    run: Path, settings: SearchConfig
) -> None:
    edit(
        run / "space.yaml",
        model=SPACE["model"] | {"hidden_dim": {"choices": [16]}, "num_blocks": 2},  # type: ignore[operator]
    )
    keys = r"model\.hidden_dim\.choices, model\.num_blocks"
    match = rf"space\.yaml: was altered .*\({keys}\).* delete"
    with pytest.raises(RunError, match=match):
        resumed_settings(run)
    with pytest.raises(RunError, match=match):
        earlier_records(settings, run)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("seed", 7, "seed"),
        ("max_epochs", 3, "max_epochs"),
        ("scheduler", {"kind": "none"}, r"scheduler\.kind"),
    ],
)
def test_other_settings_are_refused_with_the_keys_that_differ(
    run: Path, key: str, value: object, named: str
) -> None:
    edit(run / "search.yaml", **{key: value})
    with pytest.raises(RunError, match=rf"search\.yaml: was altered .*\({named}\).* delete"):
        resumed_settings(run)
    (run / "search.yaml").unlink()  # the fix that it names
    resumed_settings(run)


def test_what_a_resumed_search_may_change_may_be_edited(run: Path) -> None:
    edit(run / "search.yaml", num_trials=9)
    assert resumed_settings(run).num_trials == 9


@pytest.mark.parametrize("name", ["search.yaml", "space.yaml"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_never_leads_to_another_search(
    run: Path, name: str, damage: str
) -> None:
    expected, space = resumed_settings(run), read_yaml(run / "space.yaml").data
    DAMAGES[damage](run / name)
    try:
        found = resumed_settings(run)
    except RunError as error:
        assert f"{name}: was altered since the search began" in str(error)  # noqa: PT017
    else:
        assert damage in ("half", "one bit")  # what is gone, or changed, was a default or a limit
        may_change = {"num_trials", "time_limit_s", "max_concurrent", "resources", "faults"}
        may_change |= {"address", "benchmark_top", "success", "stop_at", "total_epochs"}
        may_change |= {"repeat", "finalists", "control", "benchmark_forms"}
        assert found.model_dump(exclude=may_change) == expected.model_dump(exclude=may_change)
        assert read_yaml(found.space).data == space


def test_a_setting_that_did_not_exist_is_what_the_search_did(
    settings: SearchConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A default that has changed since has no effect on a run without the setting."""
    folder = tmp_path / "old"
    folder.mkdir()
    old = settings.model_dump(mode="json", exclude={"decide_by"}) | {"space": "space.yaml"}
    write_yaml(folder / "space.yaml", SPACE)
    write_yaml(folder / "search.yaml", old)
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings=old, space=SPACE, provenance={}))
    assert resumed_settings(folder).decide_by == "veer"
    monkeypatch.setattr(run_state, "BEFORE", {"decide_by": "blend"})
    assert resumed_settings(folder).decide_by == "blend"
    assert earlier_records(settings.model_copy(update={"decide_by": "blend"}), folder)
    with pytest.raises(RunError, match=r"other settings \(decide_by\)"):
        earlier_records(settings, folder)


def test_what_differs_is_named_by_its_dotted_key() -> None:
    one = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    other = {"a": {"b": 1, "c": [1, 3], "e": 0}}
    assert differing_values(one, other) == ["a.c", "a.e", "d"]
    assert differing_values(one, one) == []


@pytest.mark.parametrize("journal", [None, b""])
def test_trials_without_a_journal_are_no_new_run(settings, run, journal):
    (run / "trials" / "0000").mkdir(parents=True)
    (run / "journal.jsonl").unlink()
    if journal is not None:
        (run / "journal.jsonl").write_bytes(journal)
    message = rf"{run} holds trials, but its journal is missing or empty: restore journal\.jsonl"
    with pytest.raises(RunError, match=message):
        earlier_records(settings, run)


def finished(folder: Path, settings: SearchConfig) -> tuple[Record, ...]:
    """The records of that search, played to its end with the follow-ups that it asks for."""
    with Journal(folder / "journal.jsonl") as journal:
        open_run(settings, folder, journal, ())
        coordinator = make_coordinator(
            journal,
            num_trials=3,
            follow_ups=settings.follow_ups,
        )
        work(coordinator)
        assert coordinator.is_finished
        journal.append(SearchEnded(reason="finished"))
    return read_journal(folder / "journal.jsonl")


def test_a_search_is_finished_only_with_its_follow_ups(
    settings: SearchConfig, tmp_path: Path
) -> None:
    def asking(**more: Any) -> SearchConfig:
        return settings.model_copy(
            update={
                "num_trials": 3, "max_epochs": 9,
                "scheduler": SchedulerConfig(grace_epochs=1), **more,
            }
        )  # fmt: skip

    records = finished(tmp_path / "plain", asking())
    assert is_finished(asking(), records)
    assert not is_finished(asking(repeat=1), records)
    assert not is_finished(asking(control=1), records)
    records = finished(tmp_path / "repeated", asking(repeat=2))
    assert is_finished(asking(repeat=2), records)
    assert is_finished(asking(), records)
    assert not is_finished(asking(repeat=3), records)
    # Follow-ups are none of the four trials.
    assert not is_finished(asking(num_trials=4), records)


def test_a_search_whose_follow_up_is_unfinished_is_not_finished(
    settings: SearchConfig, tmp_path: Path
) -> None:
    chosen = settings.model_copy(
        update={"num_trials": 3, "max_epochs": 9, "repeat": 1,
                "scheduler": SchedulerConfig(grace_epochs=1)}
    )  # fmt: skip
    records = finished(tmp_path / "run", chosen)
    last = max(r.trial for r in records if r.event == "trial_ended")
    cut = [r for r in records if not (r.event == "trial_ended" and r.trial == last)]
    assert not is_finished(chosen, cut)
