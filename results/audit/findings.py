"""What an audit of early stopping finds; see `results.audit.audit`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Of VEERs at a rung with those at the end, by rank.

    Attributes:
        num: Trials.
        spearman: From -1 to 1; None of fewer than three trials, or where one side is all equal.
        kendall: Kendall's tau-b, likewise.
        p_value: Probability of a tau so far from 0 by chance alone, likewise.
    """

    num: int
    spearman: float | None = None
    kendall: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RungAudit:
    """One rung.

    Attributes:
        epoch: After which trials are compared.
        num_reached: The search's own trials that came so far.
        num_stopped: Those of them that were stopped there.
        complete: Correlation over the complete trials, which are the survivors of all rungs.
        with_controls: Likewise with the controls, which stand for the stopped; None without any.
    """

    epoch: int
    num_reached: int
    num_stopped: int
    complete: Correlation
    with_controls: Correlation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlShare:
    """Of the controls so many, and what that says of all stopped trials.

    Attributes:
        num: Controls of which it is true.
        of: Controls in all.
        low: Lower end of the 95 % interval of their share, 0 to 1.
        high: Its upper end.
        of_stopped_low: The lower end in stopped trials.
        of_stopped_high: The upper end likewise.
    """

    num: int
    of: int
    low: float
    high: float
    of_stopped_low: float
    of_stopped_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """A stopped trial that was run to the end.

    Attributes:
        trial: Its own number.
        follows: The trial that was stopped.
        stopped_at: The epoch at which that was.
        end_veer_pct: Its end VEER, percent.
        behind_pct: By how much that is above the lowest of a complete trial; below 0 it would
            have won.
        place: The place that it would have had among the complete trials, 1 the best.
        largest_gap_pct: Largest difference of its VEERs from the stopped trial's in the same
            epochs: 0 where it was computed alike.
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
    """What the controls say.

    Attributes:
        num_stopped: Trials that early stopping has stopped.
        best_trial: The complete trial with the lowest end VEER.
        best_end_pct: That VEER, percent.
        most: What `among_best` counts: places up to this one.
        controls: Those that came to the end, the best first.
        would_have_won: How many have a lower end VEER than every complete trial.
        among_best: How many would have been among the first `most`.
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
    """Runs of one config that differ in their seed alone.

    Attributes:
        trials: Their numbers.
        kind: `repeat`, or `repetition` where the search itself ran the config several times.
        mean_pct: Mean of their end VEERs, percent.
        sd_pct: Standard deviation (n - 1), percent.
    """

    trials: tuple[int, ...]
    kind: str
    mean_pct: float
    sd_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsAudit:
    """The spread due to seeds, and what it says of the best.

    Attributes:
        groups: Configs with at least two complete runs.
        pooled_sd_pct: Of all groups together, percent.
        degrees: Degrees of freedom behind it.
        pair_pct: By how much two runs of one config differ at most, in 19 of 20 pairs, percent.
        best: The first in rank that are compared: by means of repeats where two have some, else
            by single runs.
        runs_each: Runs behind each of them, the fewest; 1 of single runs.
        spread_pct: From the best of them to the last, percent.
        told_apart_pct: The same that seeds alone would exceed in one case of twenty (Tukey's
            range), percent; None where there are not two to compare.
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
    """Epochs, of the search's own trials but for the last one.

    Attributes:
        num_trials: Trials.
        num_complete: Those that ran to the end.
        num_stopped: Those that early stopping has stopped.
        epochs: What they had together.
        epochs_without: What they would have had if none had been stopped early.
        epochs_saved: The difference.
        follow_up_epochs: What repeats and controls had on top of it.
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
    """All of it.

    Attributes:
        is_stopping: Whether the search stops trials early.
        grace_epochs: Its first rung.
        reduction_factor: From each rung to the next.
        max_epochs: Epochs of a trial that nothing stops.
        rungs: Ascending.
        controls: None where none came to the end.
        seeds: None where no config was run twice to the end.
        cost: Epochs.
        stop_faults: Stops that do not follow from the rungs, and missing ones, a sentence each.
    """

    is_stopping: bool
    grace_epochs: int
    reduction_factor: float
    max_epochs: int
    rungs: tuple[RungAudit, ...]
    controls: ControlsAudit | None
    seeds: SeedsAudit | None
    cost: CostAudit
    stop_faults: tuple[str, ...]
