"""Trials of earlier runs that a search learns from (`learn_from`).

Only their order is used, never their VEERs: another corpus, teacher or number of epochs moves all
VEERs of a run, but much less the order of its configs. So a run of any setup can be given. Each
trial's config is mapped onto the space of this search; those that do not fit are left out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from results.analysis.ranking import may_rank
from results.journal.history import TrialHistory, latest, trial_histories
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.earlier_trial import EarlierTrial
from results.records.record import Record
from results.records.search_records import EarlierTrialsRead
from spaces.files.errors import ConfigError, RunError
from spaces.files.yaml_file import load_mapping
from spaces.fitting import fit_config
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

SETTING = "learn_from"
# Of a run; of more, trials at even distances in the order are taken. They count at a discount,
# and more would only make the model slow.
MOST_TRIALS = 200


def earlier_trials(
    folders: Sequence[Path], space: Space, records: Sequence[Record]
) -> list[EarlierTrial]:
    """Return the ended trials of earlier runs, mapped onto the space.

    Args:
        folders: The run folders.
        space: The space of this search.
        records: This search's records; trials that they name are returned unchanged, since the
            earlier runs may have changed meanwhile.

    Raises:
        ConfigError: No trial of a run fits the space.
        RunError: A folder is no run folder, or none of its trials has ended with a VEER.
    """
    read = latest(records, EarlierTrialsRead)
    if read is not None:
        return list(read.trials)
    return [found for folder in folders for found in _of_run(folder, space)]


def record_earlier_trials(
    trials: Sequence[EarlierTrial],
    journal: Journal,
    records: Sequence[Record],
    print_line: Callable[[str], None],
) -> None:
    """Record the trials of a new search, and print how many there are of each run."""
    # Once: a resume must draw the same suggestions, even if the earlier runs have changed.
    if not trials or latest(records, EarlierTrialsRead) is not None:
        return
    journal.append(EarlierTrialsRead(trials=list(trials)))
    for source in dict.fromkeys(each.source for each in trials):
        number = sum(each.source == source for each in trials)
        print_line(f"learns from {source}: the order of {number} trials")


def _of_run(folder: Path, space: Space) -> list[EarlierTrial]:
    try:
        trials = _in_order(trial_histories(RunFolder(folder).read()))
    except RunError as error:
        raise RunError(f"{SETTING}: {error}") from error
    if not trials:
        raise RunError(f"{SETTING}: {folder}: no trial of this run has ended with a VEER yet")
    places = range(0, len(trials), -(-len(trials) // MOST_TRIALS))
    found: list[EarlierTrial] = []
    for place in places:
        trial = trials[place]
        label = f"{SETTING}: {folder}, trial {trial.trial}"
        config = load_mapping(TrialConfig, trial.started.config, label)
        params = fit_config(space, config.model_dump(mode="json"), TrialConfig).params
        if params is not None:
            share = place / max(len(trials) - 1, 1)
            found.append(
                EarlierTrial(source=str(folder), trial=trial.trial, params=params, place=share)
            )
    if not found:
        raise ConfigError(
            f"{SETTING}: none of the {len(places)} trials of {folder} fits the space "
            f"{space.name}; leave the run out"
        )
    return found


def _in_order(trials: Sequence[TrialHistory]) -> list[TrialHistory]:
    """Return the search's own trials that ended with a VEER, the best first.

    The order is that of a live search that decides by VEER: complete trials by their lowest VEER,
    then stopped ones, the longest first and equally long ones by their last VEER.
    """

    def place(trial: TrialHistory) -> tuple[int, float, int]:
        if trial.state == "complete":
            return 0, trial.best_veer_pct or 0.0, trial.trial
        epoch, veer_pct = max(trial.measured.items())
        return -epoch, veer_pct, trial.trial

    ended = [each for each in trials if each.ended is not None and may_rank(each)]
    complete = [each for each in ended if each.state == "complete"]
    stopped = [each for each in ended if each.state != "complete"]
    return sorted(complete, key=place) + sorted(stopped, key=place)
