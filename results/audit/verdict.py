"""The results of an audit of early stopping in words, with advice on what to change."""

import math

from results.analysis.faults import counted
from results.audit.findings import Audit, ControlsAudit, RungAudit, SeedsAudit
from results.journal.decision import FIGURE_NAMES

# Rank correlations from which a rung counts as a good, and as a moderate, predictor of the end
# VEER: the usual reading of strong and weak coefficients.
GOOD_CORRELATION, MODERATE_CORRELATION = 0.7, 0.3
SIGNIFICANCE = 0.05
# If at most this share of the stopped trials may have won, the loss by stopping counts as small.
MAX_WINNING_SHARE = 0.2
# More repeats than this are too many to recommend.
MAX_ADVISED_REPEATS = 100


def verdict(audit: Audit) -> list[str]:
    """Return the conclusions of an audit, one paragraph each."""
    if not audit.is_stopping:
        return ["early stopping was off: every trial ran to the end", _on_seeds(audit.seeds)]
    return [
        _on_stops(audit),
        *_on_controls(audit),
        *_on_rungs(audit),
        _on_seeds(audit.seeds),
        _on_cost(audit),
    ]


def _on_stops(audit: Audit) -> str:
    stopped = counted(audit.cost.num_stopped, "trial")
    if not audit.stop_faults:
        return f"{stopped} stopped early, each as the rungs require"
    faults = "; ".join(audit.stop_faults)
    return f"{stopped} stopped early, but not all as the rungs require: {faults}"


def _on_controls(audit: Audit) -> list[str]:
    if not audit.cost.num_stopped:
        return []
    controls = audit.controls
    if controls is None:
        return [
            "the loss by stopping is not known: no stopped trial was run to the end "
            f"(--control N runs N of them, {audit.max_epochs} epochs each)"
        ]
    won = controls.would_have_won
    result = (
        f"{won.num} of {counted(won.of, 'control')} would have won, and "
        f"{controls.among_best.num} would have been among the best {controls.most}; of all "
        f"{controls.num_stopped} stopped trials {_range(won.of_stopped_low, won.of_stopped_high)} "
        "would have won, with 95 % confidence"
    )
    return [result, _advice(audit, controls)]


def _advice(audit: Audit, controls: ControlsAudit) -> str:
    """Return whether the first rung should move, by the controls that would have won."""
    winners = [each for each in controls.controls if each.place == 1]
    if winners:
        return _later_first_rung(audit, controls)
    if controls.would_have_won.high <= MAX_WINNING_SHARE:
        return f"grace_epochs may stay at {audit.grace_epochs}: the loss by stopping is small"
    return (
        f"no control argues against grace_epochs {audit.grace_epochs}, but "
        f"{counted(controls.would_have_won.of, 'control')} cannot show much; more controls narrow "
        "the interval"
    )


def _later_first_rung(audit: Audit, controls: ControlsAudit) -> str:
    """Return what to change where a control would have won, and how many epochs it costs."""
    winners = [each for each in controls.controls if each.place == 1]
    lead_pct = -min(each.behind_pct for each in winners)
    latest = max(each.stopped_at for each in winners)
    # The next rung after the latest one that stopped a winner: there it would have survived.
    better = min(audit.max_epochs, math.ceil(latest * audit.reduction_factor))
    more_epochs = sum(
        rung.num_stopped * (better - rung.epoch) for rung in audit.rungs if rung.epoch < better
    )
    seeds = audit.seeds
    noise = ""
    if seeds is not None and lead_pct < seeds.pair_pct:
        noise = f", no more than two seeds of one config may differ ({seeds.pair_pct:.2f} points)"
    change = (
        f"raise grace_epochs from {audit.grace_epochs} to {better}"
        if better < audit.max_epochs
        else "turn early stopping off (--scheduler none)"
    )
    return (
        f"the best control is ahead by {lead_pct:.2f} points{noise}; it was stopped after epoch "
        f"{latest}: {change}, which would have cost these trials {more_epochs:,} epochs more"
    )


def _on_rungs(audit: Audit) -> list[str]:
    if not audit.rungs:
        return []
    first = audit.rungs[0]
    found = first.with_controls or first.complete
    trials = "complete trials and controls" if first.with_controls else "complete trials"
    figure = f"{FIGURE_NAMES[audit.decide_by]} after epoch {first.epoch}"
    if found.spearman is None:
        return [
            f"how well {figure} predicts the end is not known: {found.num} {trials}, three with "
            "different ones are needed"
        ]
    result = (
        f"{figure} predicts the end {_how_well(found.spearman)}: rank "
        f"correlation {found.spearman:.2f} over {found.num} {trials}"
    )
    if found.p_value is not None and found.p_value > SIGNIFICANCE:
        result += f", which may be chance (p = {found.p_value:.2f})"
    if not first.with_controls:
        # Restriction of range: selection by the same variable lowers a correlation.
        result += (
            "; these are the trials that passed every rung, so their VEERs are close together and "
            "their correlation is lower than that of all trials would be"
        )
    return [result, *_better_rung(audit, found.spearman)]


def _better_rung(audit: Audit, spearman: float) -> list[str]:
    """Return the advice to start at a later rung, where only the first one predicts poorly."""
    if spearman >= MODERATE_CORRELATION:
        return []
    for rung in audit.rungs[1:]:
        found = rung.with_controls or rung.complete
        if found.spearman is not None and found.spearman >= GOOD_CORRELATION:
            return [_first_rung_at(rung, audit, found.spearman)]
    return []


def _first_rung_at(rung: RungAudit, audit: Audit, spearman: float) -> str:
    return (
        f"raise grace_epochs from {audit.grace_epochs} to {rung.epoch}, where the correlation is "
        f"{spearman:.2f}"
    )


def _how_well(spearman: float) -> str:
    if spearman >= GOOD_CORRELATION:
        return "well"
    return "moderately" if spearman >= MODERATE_CORRELATION else "poorly"


def _on_seeds(seeds: SeedsAudit | None) -> str:
    if seeds is None:
        return (
            "the spread due to seeds is not known: no config was run to the end with two seeds "
            "(--repeat N does this)"
        )
    runs = sum(len(group.trials) for group in seeds.groups)
    result = (
        f"runs of one config with other seeds differ by a standard deviation of "
        f"{seeds.pooled_sd_pct:.2f} points (from {counted(runs, 'run')} of "
        f"{counted(len(seeds.groups), 'config')}, "
        f"{counted(seeds.degrees, 'degree')} of freedom)"
    )
    needed_pct = seeds.told_apart_pct
    if needed_pct is None:
        return result
    by = "single runs" if seeds.runs_each == 1 else f"means of {seeds.runs_each} repeats"
    result += (
        f"; the best {len(seeds.best)} differ by {seeds.spread_pct:.2f} points by {by}, where "
        f"differences below {needed_pct:.2f} points may be due to the seed"
    )
    if seeds.spread_pct >= needed_pct:
        return f"{result}: the first is better than the last of them"
    return f"{result}: any of them may be the best{_repeats_needed(seeds, needed_pct)}"


def _repeats_needed(seeds: SeedsAudit, needed_pct: float) -> str:
    """Return how many repeats would separate the best trials; nothing where they are too many."""
    # Equal means would need infinitely many repeats.
    if not seeds.spread_pct:
        return ""
    # The standard error of a mean falls with the square root of the number of runs.
    needed = math.ceil(seeds.runs_each * (needed_pct / seeds.spread_pct) ** 2)
    if needed > MAX_ADVISED_REPEATS:
        return ""
    return f"; about {needed} repeats of each would decide it"


def _on_cost(audit: Audit) -> str:
    cost = audit.cost
    saved_share = cost.epochs_saved / cost.epochs_without if cost.epochs_without else 0.0
    more = (
        f"; repeats and controls took {cost.follow_up_epochs:,} more"
        if cost.follow_up_epochs
        else ""
    )
    return (
        f"the search ran {cost.epochs:,} epochs; without early stopping the same trials would "
        f"have run {cost.epochs_without:,}: {cost.epochs_saved:,} saved ({saved_share:.0%}){more}"
    )


def _range(low: float, high: float) -> str:
    """Return a range of trials rounded outwards to whole ones, such as `0 to 11`."""
    # Outwards, so that rounding never makes the interval narrower.
    return f"{math.floor(low)} to {math.ceil(high)}"
