"""What a run folder says of an earlier search in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.history import ranked, trial_histories
from results.journal import Journal, Record, read_journal
from results.run_folder import JOURNAL, RunFolder
from results.shell import veer_command
from search.config import SearchConfig, differing_keys, read_search_config
from search.differences import since_the_start
from search.provenance import provenance
from spaces.yaml_file import read_yaml, write_yaml
from trainable.errors import RunError

SETTINGS_FILE = "search.yaml"
SPACE_FILE = "space.yaml"


def resumed_settings(folder: Path, overrides: Mapping[str, Any] | None = None) -> SearchConfig:
    """The settings that a run folder was made with, and what the command line changes in them.

    Raises:
        RunError: It is no run folder.
    """
    return read_search_config(RunFolder(folder).settings, overrides)


def earlier_records(settings: SearchConfig, folder: Path) -> tuple[Record, ...]:
    """The journal of an earlier search with these settings, empty in a new folder.

    Raises:
        RunError: The folder holds a search with other settings.
    """
    records = read_journal(folder / JOURNAL) if (folder / JOURNAL).is_file() else ()
    if not records:
        return ()
    differing = differing_keys(settings, read_search_config(folder / SETTINGS_FILE))
    if differing:
        raise RunError(
            f"{folder} holds a search with other settings ({', '.join(differing)}); choose "
            f"another folder with --run, or continue that one: {veer_command('resume', folder)}"
        )
    return records


def is_finished(settings: SearchConfig, records: Sequence[Record]) -> bool:
    """Whether an earlier search came to its end, and to that which is asked for now."""
    ends = [record for record in records if record["event"].startswith("search_")]
    reason = ends[-1].get("reason") if ends else None
    if reason == "target_met":
        best = ranked(trial_histories(records))[0].best or {}
        return settings.target_pct is not None and best["veer_pct"] <= settings.target_pct
    ended = sum(trial.ended is not None for trial in trial_histories(records))
    is_all = settings.num_trials is not None and ended >= settings.num_trials
    return reason == "exhausted" or (reason == "finished" and is_all)


def open_run(
    settings: SearchConfig, folder: Path, journal: Journal, records: Sequence[Record]
) -> list[str]:
    """Writes settings, space and the journal's opening record; the folder then explains itself.

    Returns:
        What differs from what the run began with (versions, code, hardware), a sentence each.
    """
    if not records:
        write_yaml(folder / SPACE_FILE, read_yaml(settings.space).data)
    # Relative, so that the folder can be moved.
    resolved = settings.model_dump(mode="json") | {"space": SPACE_FILE}
    write_yaml(folder / SETTINGS_FILE, resolved)
    event = "search_resumed" if records else "search_started"
    journal.append(event, settings=resolved, provenance=(now := provenance()))
    return since_the_start(records, now)
