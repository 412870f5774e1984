"""An audit of early stopping in plain words: what it found, and what to change."""

import math

from results.analysis.faults import counted
from results.audit.findings import Audit, ControlsAudit, RungAudit, SeedsAudit

TELLS_WELL, TELLS_SOMETHING = 0.7, 0.3
CHANCE = 0.05
# Above this share of the stopped trials an interval says little.
WIDE = 0.2


def verdict(audit: Audit) -> list[str]:
    """What the audit comes to, a paragraph each."""
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
        return f"{stopped} stopped early, each as the rungs say"
    faults = "; ".join(audit.stop_faults)
    return f"{stopped} stopped early, but not all as the rungs say: {faults}"


def _on_controls(audit: Audit) -> list[str]:
    if not audit.cost.num_stopped:
        return []
    controls = audit.controls
    if controls is None:
        return [
            "what was lost by stopping is not known: no stopped trial was run to the end "
            f"(--control N does, for {audit.max_epochs} epochs each)"
        ]
    won = controls.would_have_won
    said = (
        f"{won.num} of {counted(won.of, 'control')} would have won, and "
        f"{controls.among_best.num} would have been among the best {controls.most}; of all "
        f"{controls.num_stopped} stopped trials {_range(won.of_stopped_low, won.of_stopped_high)} "
        "would have won, with 95 % confidence"
    )
    return [said, _advice(audit, controls)]


def _advice(audit: Audit, controls: ControlsAudit) -> str:
    winners = [each for each in controls.controls if each.place == 1]
    if winners:
        return _later(audit, controls)
    if controls.would_have_won.high <= WIDE:
        return f"grace_epochs may stay at {audit.grace_epochs}: stopping has cost little"
    return (
        f"nothing speaks against grace_epochs {audit.grace_epochs}, but "
        f"{counted(controls.would_have_won.of, 'control')} can show little; more of them narrow "
        "the interval"
    )


def _later(audit: Audit, controls: ControlsAudit) -> str:
    """What to change where a control would have won."""
    winners = [each for each in controls.controls if each.place == 1]
    by = -min(each.behind_pct for each in winners)
    latest = max(each.stopped_at for each in winners)
    better = min(audit.max_epochs, math.ceil(latest * audit.reduction_factor))
    more = sum(
        rung.num_stopped * (better - rung.epoch) for rung in audit.rungs if rung.epoch < better
    )
    seeds = audit.seeds
    noise = ""
    if seeds is not None and by < seeds.pair_pct:
        noise = f", which two seeds of one config may differ by too ({seeds.pair_pct:.2f} points)"
    change = (
        f"raise grace_epochs from {audit.grace_epochs} to {better}"
        if better < audit.max_epochs
        else "turn early stopping off (--scheduler none)"
    )
    return (
        f"the best control is ahead by {by:.2f} points{noise}; it was stopped after epoch "
        f"{latest}: {change}, which would have cost these trials {more:,} epochs more"
    )


def _on_rungs(audit: Audit) -> list[str]:
    if not audit.rungs:
        return []
    first = audit.rungs[0]
    found = first.with_controls or first.complete
    of = "complete trials and controls" if first.with_controls else "complete trials"
    if found.spearman is None:
        return [
            f"how well epoch {first.epoch} foretells the end cannot be said: {found.num} {of}, "
            "it takes three that differ"
        ]
    said = (
        f"VEER after epoch {first.epoch} {_tells(found.spearman)} of the end: rank correlation "
        f"{found.spearman:.2f} over {found.num} {of}"
    )
    if found.p_value is not None and found.p_value > CHANCE:
        said += f", which may be chance (p = {found.p_value:.2f})"
    if not first.with_controls:
        said += (
            "; these are the trials that every rung has let through, so they lie close together "
            "and their correlation is lower than that of all trials would be"
        )
    return [said, *_better_rung(audit, found.spearman)]


def _better_rung(audit: Audit, spearman: float) -> list[str]:
    if spearman >= TELLS_SOMETHING:
        return []
    for rung in audit.rungs[1:]:
        found = rung.with_controls or rung.complete
        if found.spearman is not None and found.spearman >= TELLS_WELL:
            return [_first_rung_at(rung, audit.grace_epochs, found.spearman)]
    return []


def _first_rung_at(rung: RungAudit, grace_epochs: int, spearman: float) -> str:
    return (
        f"raise grace_epochs from {grace_epochs} to {rung.epoch}, where the correlation is "
        f"{spearman:.2f}"
    )


def _tells(spearman: float) -> str:
    if spearman >= TELLS_WELL:
        return "says much"
    return "says something" if spearman >= TELLS_SOMETHING else "says little"


def _on_seeds(seeds: SeedsAudit | None) -> str:
    if seeds is None:
        return (
            "the spread due to seeds is not known: no config was run to the end with two seeds "
            "(--repeat N does)"
        )
    runs = sum(len(group.trials) for group in seeds.groups)
    said = (
        f"runs of one config with other seeds differ by a standard deviation of "
        f"{seeds.pooled_sd_pct:.2f} points (from {counted(runs, 'run')} of "
        f"{counted(len(seeds.groups), 'config')}, "
        f"{counted(seeds.degrees, 'degree')} of freedom)"
    )
    needed_pct = seeds.told_apart_pct
    if needed_pct is None:
        return said
    by = "single runs" if seeds.runs_each == 1 else f"means of {seeds.runs_each} repeats"
    said += (
        f"; the best {len(seeds.best)} lie {seeds.spread_pct:.2f} points apart by {by}, where "
        f"differences below {needed_pct:.2f} points may be luck of the seed"
    )
    if seeds.spread_pct >= needed_pct:
        return f"{said}: the first is better than the last of them"
    return f"{said}: any of them may be the best{_seeds_needed(seeds, needed_pct)}"


def _seeds_needed(seeds: SeedsAudit, needed_pct: float) -> str:
    if not seeds.spread_pct:
        return ""
    needed = math.ceil(seeds.runs_each * (needed_pct / seeds.spread_pct) ** 2)
    return f"; about {needed} repeats of each would tell" if needed <= 100 else ""


def _on_cost(audit: Audit) -> str:
    cost = audit.cost
    part = cost.epochs_saved / cost.epochs_without if cost.epochs_without else 0.0
    more = (
        f"; repeats and controls took {cost.follow_up_epochs:,} more"
        if cost.follow_up_epochs
        else ""
    )
    return (
        f"the search had {cost.epochs:,} epochs; without early stopping the same trials would "
        f"have had {cost.epochs_without:,}: {cost.epochs_saved:,} saved ({part:.0%}){more}"
    )


def _range(low: float, high: float) -> str:
    """Numbers of trials: `0 to 11`."""
    return f"{math.floor(low)} to {math.ceil(high)}"
