"""The state of a run folder: its settings and records, and whether its search may be resumed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from results.journal.decision import BY_VEER
from results.journal.history import trial_histories
from results.journal.journal import Journal, as_recorded, read_journal
from results.journal.run_folder import JOURNAL, TRIALS_FOLDER, RunFolder
from results.journal.turns import last_turn
from results.records.record import Record
from results.records.search_records import SearchEnded, SearchResumed, SearchStarted
from results.terminal.quoting import veer_command
from search.config.reading import differing_keys, read_search_config
from search.config.search_config import MAY_CHANGE, SearchConfig
from search.loop.follow_ups import due_by_journal
from search.provenance.differences import changes_since_start
from search.provenance.provenance import provenance
from spaces.files.errors import ConfigError, RunError
from spaces.files.yaml_file import load_mapping, read_yaml, write_yaml

SETTINGS_FILE = "search.yaml"
SPACE_FILE = "space.yaml"
# What a search did whose version had no such setting, whatever the default is now.
BEFORE: Mapping[str, Any] = MappingProxyType({"decide_by": BY_VEER})
_NOTHING = object()


def resumed_settings(folder: Path, overrides: Mapping[str, Any] | None = None) -> SearchConfig:
    """Return the settings of a run folder, changed by the command line.

    Raises:
        RunError: The folder holds no run, or its settings or space differ from the journal's.
    """
    run = RunFolder(folder)
    records = run.read()
    require_unaltered(folder, records)
    return read_search_config(run.settings, {**_of_earlier_versions(records), **(overrides or {})})


def earlier_records(settings: SearchConfig, folder: Path) -> tuple[Record, ...]:
    """Return the records of an earlier search with these settings, empty for a new folder.

    Raises:
        RunError: The folder holds a search with other settings, or its settings or space differ
            from the journal's.
    """
    records = read_journal(folder / JOURNAL) if (folder / JOURNAL).is_file() else ()
    # An empty journal counts as none: a full disk may have refused its first record.
    if not records:
        _refuse_orphans(folder)
        return ()
    require_unaltered(folder, records)
    recorded = read_search_config(folder / SETTINGS_FILE, _of_earlier_versions(records))
    differing = differing_keys(settings, recorded)
    if differing:
        raise RunError(
            f"{folder} holds a search with other settings ({', '.join(differing)}); choose "
            f"another folder with --run, or continue that one: {veer_command('resume', folder)}"
        )
    return records


def _of_earlier_versions(records: Sequence[Record]) -> dict[str, Any]:
    """Return the settings that the version did not have that began the search."""
    settings = next((each.settings for each in records if isinstance(each, SearchStarted)), {})
    return {key: value for key, value in BEFORE.items() if key not in settings}


def require_unaltered(folder: Path, records: Sequence[Record]) -> None:
    """Compare the files of a run's settings and space with its journal; write missing ones.

    Settings that a resumed search may change may also be edited in the file.

    Raises:
        RunError: A file was altered; with the keys that differ.
    """
    opening = [each for each in records if isinstance(each, SearchStarted | SearchResumed)]
    # The last settings, since a resume may change some; the space never changes.
    settings = next(
        (each.settings for each in reversed(opening) if each.settings is not None), None
    )
    space = next((each.space for each in opening if isinstance(each, SearchStarted)), None)
    if space is not None:
        _require_space(folder / SPACE_FILE, space)
    if settings is not None:
        _require_settings(folder / SETTINGS_FILE, settings)


def _require_space(file: Path, recorded: Mapping[str, Any]) -> None:
    if not file.exists():
        write_yaml(file, recorded)
        return
    with _altered_by(file):
        found = as_recorded(read_yaml(file).data)
    _refuse(file, differing_values(found, recorded))


def _require_settings(file: Path, recorded: Mapping[str, Any]) -> None:
    if not file.exists():
        write_yaml(file, recorded)
        return
    resolved = {**recorded, "space": file.resolve().with_name(SPACE_FILE)}
    with _altered_by(file):
        found = read_search_config(file)
        expected = load_mapping(SearchConfig, resolved, str(file.with_name(JOURNAL)))
    # Keys that the journal does not have are settings of a later version of Veer.
    one, other = (
        {key: value for key, value in each.model_dump(mode="json").items() if key in recorded}
        for each in (found, expected)
    )
    differing = differing_values(one, other)
    _refuse(file, [key for key in differing if key.partition(".")[0] not in MAY_CHANGE])


def differing_values(one: Any, other: Any, name: str = "") -> list[str]:
    """Return the dotted names of the values that differ between two trees."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        dot = f"{name}." if name else ""
        pairs = ((key, one.get(key, _NOTHING), other.get(key, _NOTHING)) for key in keys)
        return [found for key, a, b in pairs for found in differing_values(a, b, dot + key)]
    return [] if one == other else [name or "everything"]


def _refuse(file: Path, differing: Sequence[str]) -> None:
    if differing:
        raise RunError(
            f"{file}: was altered since the search began ({', '.join(differing)}): a search keeps "
            "its space and settings; delete the file, and it is rewritten from the journal, "
            "or begin another search with --run"
        )


@contextmanager
def _altered_by(file: Path) -> Iterator[None]:
    try:
        yield
    except (ConfigError, OSError) as error:
        raise RunError(
            f"{error}\n{file}: was altered since the search began; delete the file, and it is "
            "rewritten from the journal"
        ) from error


def _refuse_orphans(folder: Path) -> None:
    """Refuse a folder with trials but no journal: their checkpoints belong to an unknown search.

    Raises:
        RunError: The folder has trials.
    """
    trials = folder / TRIALS_FOLDER
    if trials.is_dir() and any(trials.iterdir()):
        raise RunError(
            f"{folder} holds trials, but its journal is missing or empty: restore {JOURNAL} "
            "from a copy, or choose another folder with --run"
        )


def is_finished(settings: SearchConfig, records: Sequence[Record]) -> bool:
    """Return whether an earlier search has ended, also by the current settings.

    A resume with more trials, epochs or follow-ups continues a search that had ended.
    """
    turn = last_turn(records)
    reason = turn.reason if isinstance(turn, SearchEnded) else None
    if not _own_trials_ended(settings, records, reason):
        return False
    has_open = any(trial.ended is None for trial in trial_histories(records))
    return not has_open and not due_by_journal(records, settings.follow_ups)


def _own_trials_ended(
    settings: SearchConfig, records: Sequence[Record], reason: str | None
) -> bool:
    trials = [trial for trial in trial_histories(records) if trial.follow_up is None]
    # By the current settings: a resume may have set a lower target or more epochs.
    if reason == "target_met":
        measured = [trial.best_veer_pct for trial in trials if trial.best_veer_pct is not None]
        target_pct = settings.target_pct
        return target_pct is not None and min(measured, default=math.inf) <= target_pct
    ended = sum(trial.ended is not None for trial in trials)
    if reason == "epochs_spent":
        had = sum(len(trial.epochs) for trial in trials)
        return settings.total_epochs is not None and had >= settings.total_epochs
    is_all = settings.num_trials is not None and ended >= settings.num_trials
    return reason == "exhausted" or (reason == "finished" and is_all)


def open_run(
    settings: SearchConfig, folder: Path, journal: Journal, records: Sequence[Record]
) -> list[str]:
    """Write the settings, the space and the journal's opening record.

    Returns:
        Differences from the start of the run (versions, code, hardware), a sentence each.
    """
    space = read_yaml(settings.space).data
    if not records:
        write_yaml(folder / SPACE_FILE, space)
    # A relative path, so that the folder can be moved.
    resolved = settings.model_dump(mode="json") | {"space": SPACE_FILE}
    write_yaml(folder / SETTINGS_FILE, resolved)
    now = provenance()
    if records:
        journal.append(SearchResumed(settings=resolved, provenance=now))
    else:
        journal.append(SearchStarted(settings=resolved, space=space, provenance=now))
    return changes_since_start(records, now)
