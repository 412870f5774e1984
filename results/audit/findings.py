"""The results of an audit of early stopping, as `results.audit.audit` computes them.

The field names are the keys of `veer audit --json`, so they stay as they are.
"""

from dataclasses import dataclass
from typing import Literal

from results.journal.decision import DecisionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """The rank correlation between the figures at a rung that decide and the end VEERs.

    Attributes:
        num: Number of trials compared.
        spearman: Spearman's coefficient, -1 to 1; None with fewer than three trials, or where all
            VEERs of one side are equal.
        kendall: Kendall's tau-b, -1 to 1; None in the same cases.
        p_value: Probability that mere chance gives a tau at least this far from 0; None in the
            same cases.
    """

    num: int
    spearman: float | None = None
    kendall: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RungAudit:
    """How early stopping acted at one rung, and how well the VEERs there predict the end VEERs.

    Attributes:
        epoch: The epoch after which trials are compared.
        num_reached: Number of the search's own trials that reached this epoch.
        num_stopped: Number of them that were stopped here.
        complete: Correlation over the complete trials, which are those that passed every rung.
        with_controls: The same with the controls added, which represent the stopped trials; None
            without controls.
    """

    epoch: int
    num_reached: int
    num_stopped: int
    complete: Correlation
    with_controls: Correlation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlShare:
    """How many controls have a property, with an estimate for all stopped trials.

    Attributes:
        num: Number of controls with the property.
        of: Number of all controls.
        low: Lower end of the 95 % confidence interval of the share, 0 to 1.
        high: Upper end of that interval, 0 to 1.
        of_stopped_low: Lower end as a number of stopped trials.
        of_stopped_high: Upper end as a number of stopped trials.
    """

    num: int
    of: int
    low: float
    high: float
    of_stopped_low: float
    of_stopped_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """The result of one control: a second run of a stopped trial, to its last epoch.

    Attributes:
        trial: Number of the control.
        follows: Number of the stopped trial that it repeats.
        stopped_at: Epoch after which that trial was stopped.
        end_veer_pct: End VEER of the control, percent.
        behind_pct: This VEER minus the lowest end VEER of a complete trial, percentage points;
            below 0 the control would have won.
        place: Rank that the control would have among the complete trials, 1 the best.
        largest_gap_pct: Largest absolute difference between the VEERs of the control and of the
            stopped trial in the same epoch, percentage points; 0 where both runs were computed
            identically.
    """

    trial: int
    follows: int
    stopped_at: int
    end_veer_pct: float
    behind_pct: float
    place: int
    largest_gap_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsAudit:
    """The controls compared with the complete trials.

    Attributes:
        num_stopped: Number of trials that early stopping stopped.
        best_trial: Number of the complete trial with the lowest end VEER.
        best_end_pct: Its end VEER, percent.
        most: The last rank that `among_best` counts.
        controls: The controls that ran to the end, the best first.
        would_have_won: Controls with a lower end VEER than every complete trial.
        among_best: Controls that would have a rank of at most `most`.
    """

    num_stopped: int
    best_trial: int
    best_end_pct: float
    most: int
    controls: tuple[ControlResult, ...]
    would_have_won: ControlShare
    among_best: ControlShare


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedGroup:
    """Complete runs of one config that differ only in the seed.

    Attributes:
        trials: Numbers of the trials, at least two.
        kind: `repeat`, or `repetition` where the search itself ran the config several times.
        mean_pct: Mean of the end VEERs, percent.
        sd_pct: Sample standard deviation (n - 1) of the end VEERs, percentage points.
    """

    trials: tuple[int, ...]
    kind: str
    mean_pct: float
    sd_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsAudit:
    """The spread due to seeds, compared with the spread of the best trials.

    Attributes:
        groups: Configs with at least two complete runs.
        pooled_sd_pct: Standard deviation within the groups, pooled, percentage points.
        degrees: Degrees of freedom of `pooled_sd_pct`.
        pair_pct: Difference that 19 of 20 pairs of runs of one config do not exceed, percentage
            points.
        best: Numbers of the best trials, in rank order: those with repeats where at least two
            have some, else the best complete ones.
        runs_each: Smallest number of runs behind the VEER of one of them; 1 for single runs.
        spread_pct: Largest minus smallest VEER of `best`, percentage points.
        told_apart_pct: Spread of as many equal configs that mere seeds exceed in one of 20 cases
            (Tukey's range), percentage points; None with fewer than two trials in `best`.
    """

    groups: tuple[SeedGroup, ...]
    pooled_sd_pct: float
    degrees: int
    pair_pct: float
    best: tuple[int, ...]
    runs_each: int
    spread_pct: float
    told_apart_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAudit:
    """Epochs spent and saved; all but `follow_up_epochs` count the search's own trials.

    Attributes:
        num_trials: Number of trials.
        num_complete: Trials that ran to the end.
        num_stopped: Trials that early stopping stopped.
        epochs: Epochs run.
        epochs_without: Epochs that the same trials would have run without early stopping.
        epochs_saved: Difference of the two.
        follow_up_epochs: Epochs run by repeats and controls.
    """

    num_trials: int
    num_complete: int
    num_stopped: int
    epochs: int
    epochs_without: int
    epochs_saved: int
    follow_up_epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result of the audit of one search.

    Attributes:
        is_stopping: Whether the search stops trials early.
        decide_by: The figure that the rungs compare.
        grace_epochs: Epoch of the first rung, or `auto`.
        reduction_factor: Ratio of the epochs of consecutive rungs.
        max_epochs: Epochs of a trial that is not stopped.
        rungs: One entry a rung, by ascending epoch.
        controls: None where no control ran to the end.
        seeds: None where no config ran to the end with two seeds.
        cost: Epochs spent and saved.
        stop_faults: Stops that do not follow from the rungs, and stops that are missing, a
            sentence each.
    """

    is_stopping: bool
    decide_by: DecisionKind
    grace_epochs: int | Literal["auto"]
    reduction_factor: float
    max_epochs: int
    rungs: tuple[RungAudit, ...]
    controls: ControlsAudit | None
    seeds: SeedsAudit | None
    cost: CostAudit
    stop_faults: tuple[str, ...]
