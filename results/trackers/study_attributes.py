"""What the Optuna study says of a run and its trials, in words: the names of its user attributes.

Of a trial: `trial` (its number in the run) or `same as trial` (of a repetition), `config` (its
file in the run's folder), `seed`, `config hash`, `parameters`, `best VEER, %`, `best epoch`,
`VEER interval, %`, and at its end `how it ended`, `why`, `last VEER, %`, `median VEER of the last
epochs, %`. Of an infeasible suggestion: `infeasible`, which limits it breaks. None depends on how
busy the machine is.
"""

from collections.abc import Mapping
from pathlib import Path

from results.journal.history import TrialHistory
from results.journal.journal import Record
from results.journal.run_folder import TRIALS

Attributes = dict[str, str | int | float]
LISTS = ("train_list", "val_list")
# Decimals of a percentage.
DECIMALS = 3


def of_the_search(record: Record) -> Attributes:
    """What `search_started` says of the study."""
    corpus = record["settings"].get("corpus")
    told = corpus if isinstance(corpus, Mapping) else {}
    lists = [str(told[name]) for name in LISTS if name in told]
    return {"corpus": ", ".join(lists)} if lists else {}


def of_the_teacher(record: Record) -> Attributes:
    """What `teacher` says of the study."""
    veer_pct, num_params = record["veer_pct"], record["num_params"]
    said: Attributes = {"teacher": Path(record["path"]).as_posix()}
    if veer_pct is not None:
        said["teacher's VEER, %"] = round(veer_pct, DECIMALS)
    if num_params is not None:
        said["teacher's parameters"] = num_params
    return said


def at_its_start(trial: TrialHistory) -> Attributes:
    """What is known of a trial when it is begun, or a repetition of it is suggested."""
    started = trial.started
    said: Attributes = {
        "config": f"{TRIALS}/{trial.trial:04d}/config.yaml",
        "seed": started["seed"],
        "config hash": started["config_hash"],
    }
    if trial.epochs and trial.last is not None:
        said |= of_an_epoch(trial.last)
    if (best := trial.best) is not None:
        said |= of_the_best_epoch(best)
    return said


def of_an_epoch(record: Record) -> Attributes:
    """What a trial's first epoch tells of its model."""
    num_params = record.get("num_params")
    return {} if num_params is None else {"parameters": num_params}


def of_the_best_epoch(record: Record) -> Attributes:
    """What the epoch with the lowest VEER so far tells of a trial."""
    said: Attributes = {
        "best VEER, %": round(record["veer_pct"], DECIMALS),
        "best epoch": record["epoch"],
    }
    low_pct, high_pct = record.get("veer_low_pct"), record.get("veer_high_pct")
    if low_pct is not None and high_pct is not None:
        said["VEER interval, %"] = f"{low_pct:.2f} to {high_pct:.2f}"
    return said


def at_its_end(trial: TrialHistory) -> Attributes:
    """What is known of a trial at its end."""
    said: Attributes = {"how it ended": trial.state.replace("_", " ")}
    if trial.ended is not None and trial.ended["reason"]:
        said["why"] = trial.ended["reason"]
    last, median_pct = trial.last, trial.median_veer_pct
    if last is not None and last["veer_pct"] is not None:
        said["last VEER, %"] = round(last["veer_pct"], DECIMALS)
    if median_pct is not None:
        said["median VEER of the last epochs, %"] = round(median_pct, DECIMALS)
    return said
