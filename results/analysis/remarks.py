"""Remarks on a run as a whole: success criteria, rejected suggestions, warnings, costs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from results.analysis.cost import cost_remark
from results.analysis.faults import counted, fault_remarks, utc
from results.analysis.grace import grace_remarks
from results.analysis.model_hashes import model_counts, same_models
from results.analysis.ranking import mean_in_words
from results.analysis.run_view import RunView
from results.journal.decision import BY_VEER, FIGURE_NAMES, NEED_DPRIME
from results.journal.history import LAST_EPOCHS, TrialHistory
from results.records.search_records import CorpusRecord, InfeasibleSuggestion
from results.records.trial_records import FinalTestOpened, InfrastructureFault
from spaces.limits import BROKEN_RULE

# The start of a remark that the terminal shows in bold.
WARNING = "warning: "


def hardest_met(veer_pct: float | None, criteria: Mapping[str, float]) -> str | None:
    """Return the name of the criterion with the lowest VEER limit that a VEER meets.

    Args:
        veer_pct: A VEER, percent; None where unknown.
        criteria: VEER limits in percent by name.

    Returns:
        None where it meets none.
    """
    if veer_pct is None:
        return None
    met = [name for name, limit_pct in criteria.items() if veer_pct <= limit_pct]
    return min(met, key=criteria.__getitem__, default=None)


def undistilled_beats_teacher(view: RunView) -> str | None:
    """Return a warning if a trial without distillation has a VEER at or below the teacher's."""
    teacher_pct = view.teacher_veer_pct
    if teacher_pct is None:
        return None
    for trial in view.ranked:
        own_pct = trial.best_veer_pct
        if trial.loss["distillation"] != "none" or own_pct is None:
            continue
        # The rank need not be the order of the VEERs.
        if own_pct > teacher_pct:
            continue
        how = "beat" if own_pct < teacher_pct else "equal"
        return (
            f"students without distillation already {how} the teacher ({own_pct:.2f} % in trial "
            f"{trial.trial} against {teacher_pct:.2f} %): it has little to teach; train it "
            "further, or use a better one"
        )
    return None


def corpus_warnings(view: RunView) -> list[str]:
    """Return the warnings about the corpus, such as of a validation list that is a test list."""
    corpus = view.latest(CorpusRecord)
    return [] if corpus is None else list(corpus.warnings or ())


def openings_remark(view: RunView) -> str | None:
    """Return when the test list was opened for trials of the run; None if it never was."""
    opened = view.all_of(FinalTestOpened)
    if not opened:
        return None
    trials = ", ".join(f"trial {each.trial} at {utc(each.time_s)} UTC" for each in opened)
    return f"test list opened {counted(len(opened), 'time')}: {trials}"


def run_remarks(view: RunView) -> list[str]:
    """Return the remarks below the table of a run's trials, one line each, warnings first."""
    trials = view.histories
    warning = undistilled_beats_teacher(view)
    remarks = [f"{WARNING}{warning}"] if warning else []
    remarks += [f"{WARNING}{text}" for text in (*corpus_warnings(view), *same_models(trials))]
    if view.success:
        hardest_last = sorted(view.success.items(), key=lambda item: -item[1])
        words = ", ".join(f"{name} {veer_pct:g} %" for name, veer_pct in hardest_last)
        remarks.append(f"meets: the hardest criterion that the VEER does not exceed, of {words}")
    remarks += [*decision_remarks(view), *grace_remarks(view), *repeat_remarks(view)]
    remarks += fault_remarks(trials)
    if short := [each for trial in trials for each in trial.retries if each.share is not None]:
        remarks.append(_run_again(short))
    if cost := cost_remark(view.cost):
        remarks.append(cost)
    if opened := openings_remark(view):
        remarks.append(opened)
    if counts := model_counts(trials):
        remarks.append(counts)
    if broken := view.all_of(InfeasibleSuggestion):
        remarks.append(_limits_broken(broken))
    return remarks


def why_best(view: RunView) -> str | None:
    """Return why the first in rank is the first, None where no trial has a rank.

    Such as `by the mean of 3 repeats: 9.80 % ± 0.40`, `by its lowest VEER: 9.10 %`, or `by its
    lowest EER from d': 8.70 % (VEER 9.10 %)`.
    """
    if view.best is None:
        return None
    repeats = view.repeats.get(view.best.trial)
    if repeats is None:
        return _lowest_in_words(view.best)
    lost = f", {repeats.num_lost} more did not run to the end" if repeats.num_lost else ""
    num_repeats = counted(len(repeats.veer_pct), "repeat")
    return f"by the mean of {num_repeats}: {mean_in_words(repeats)}{lost}"


def decision_remarks(view: RunView) -> list[str]:
    """Return a line on the figure that trials are compared by; none where it is the VEER.

    It also gives the number of epochs that lack what the figure needs.
    """
    if view.decide_by == BY_VEER:
        return []
    line = f"trials are compared by their {FIGURE_NAMES[view.decide_by]}"
    epochs = [each for trial in view.histories for each in trial.in_order]
    lacking = sum(each.dprime is None and each.veer_pct is not None for each in epochs)
    if lacking and view.decide_by in NEED_DPRIME:
        line += f"; {lacking:,} of {counted(len(epochs), 'epoch')} without d' by their VEER"
    return [line]


def _lowest_in_words(trial: TrialHistory) -> str:
    veer = f"{trial.best_veer_pct:.2f} %"
    if trial.decide_by == BY_VEER:
        return f"by its lowest VEER: {veer}"
    name = FIGURE_NAMES[trial.decide_by]
    return f"by its lowest {name}: {trial.best_decision_pct:.2f} % (VEER {veer})"


def repeat_remarks(view: RunView) -> list[str]:
    """Return a line on the repeats of a run, and one where they change which trial is the best."""
    if not view.repeats:
        return []
    means = [
        f"trial {trial.trial} {mean_in_words(each)} of {len(each.veer_pct)}"
        + (f" ({each.num_lost} lost)" if each.num_lost else "")
        for trial in view.ranked
        if (each := view.repeats.get(trial.trial)) is not None
    ]
    lines = [
        f"repeats with other seeds, the median VEER of their last {LAST_EPOCHS} epochs, mean ± "
        f"standard deviation: {'; '.join(means)}"
    ]
    luckiest_pct, luckiest = min(
        (t.best_decision_pct, t.trial) for t in view.ranked if t.best_decision_pct is not None
    )
    if view.best is not None and luckiest != view.best.trial:
        name = FIGURE_NAMES[view.decide_by]
        lines.append(
            f"the best is trial {view.best.trial} by its repeats; by the {name} of the luckiest "
            f"epoch, {luckiest_pct:.2f} %, it would have been trial {luckiest}"
        )
    return lines


def _run_again(retries: Sequence[InfrastructureFault]) -> str:
    """Return which trials were run again, such as `trial 3 (out of memory, 0.5 GPU)`."""
    shares: dict[int, list[str]] = {}
    for each in retries:
        given = f"{each.share:g} {str(each.resource).upper()}"
        shares.setdefault(each.trial, []).append(f"{each.kind.replace('_', ' ')}, {given}")
    trials = (f"trial {number} ({'; '.join(given)})" for number, given in shares.items())
    return f"run again, with the share from then on: {', '.join(trials)}"


def _limits_broken(infeasible: Sequence[InfeasibleSuggestion]) -> str:
    """Return how many suggestions were rejected, and by which limits."""
    violations = [each for record in infeasible for each in record.violations]
    rules = [each for each in violations if each.limit == BROKEN_RULE]
    limits = Counter(each.limit for each in violations if each.limit != BROKEN_RULE)
    suggestions = "suggestion" if len(infeasible) == 1 else "suggestions"
    counts = [f"{limit} {count}" for limit, count in limits.most_common()]
    if rules:
        counts.append(f"a rule of the config {len(rules)} ({rules[0].text})")
    return f"{len(infeasible)} {suggestions} not run, outside the limits: {', '.join(counts)}"
