"""Remarks on a run as a whole: success criteria, rejected suggestions, warnings, costs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from results.analysis.cost import cost_remark
from results.analysis.faults import counted, fault_remarks, utc
from results.analysis.model_hashes import model_counts, same_models
from results.analysis.ranking import ranked, repeat_remarks
from results.journal.history import latest, trial_histories
from results.journal.journal import Record
from spaces.limits import BROKEN_RULE

# The start of a remark that the terminal shows in bold.
WARNING = "warning: "


def latest_settings(records: Iterable[Record]) -> Record:
    """Return the latest settings of the search; empty where the journal has none."""
    settings: Record = {}
    for record in records:
        if record["event"] in ("search_started", "search_resumed"):
            # `search_resumed` may have no settings; then the earlier ones hold.
            settings = record.get("settings") or settings
    return settings


def success_criteria(records: Iterable[Record]) -> dict[str, float]:
    """Return VEER in percent by the name of the criterion, from the latest settings."""
    return {
        name: float(veer_pct)
        for name, veer_pct in (latest_settings(records).get("success") or {}).items()
        if veer_pct is not None
    }


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


def undistilled_beats_teacher(records: Iterable[Record]) -> str | None:
    """Return a warning if a trial without distillation has a VEER at or below the teacher's."""
    records = tuple(records)
    teacher = latest(records, "teacher")
    if teacher is None or teacher["veer_pct"] is None:
        return None
    for trial in ranked(trial_histories(records)):
        if trial.loss["distillation"] != "none" or trial.best is None:
            continue
        own_pct, teacher_pct = trial.best["veer_pct"], teacher["veer_pct"]
        if own_pct > teacher_pct:
            return None
        how = "beat" if own_pct < teacher_pct else "equal"
        return (
            f"students without distillation already {how} the teacher ({own_pct:.2f} % in trial "
            f"{trial.trial} against {teacher_pct:.2f} %): it has little to teach; train it "
            "further, or use a better one"
        )
    return None


def corpus_warnings(records: Iterable[Record]) -> list[str]:
    """Return the warnings about the corpus, such as of a validation list that is a test list."""
    corpus = latest(records, "corpus")
    return [] if corpus is None else list(corpus.get("warnings", ()))


def openings_remark(records: Iterable[Record]) -> str | None:
    """Return when the test list was opened for trials of the run; None if it never was."""
    opened = [record for record in records if record["event"] == "test_opened"]
    if not opened:
        return None
    trials = ", ".join(f"trial {each['trial']} at {utc(each['time_s'])} UTC" for each in opened)
    return f"test list opened {counted(len(opened), 'time')}: {trials}"


def run_remarks(records: Iterable[Record]) -> list[str]:
    """Return the remarks below the table of a run's trials, one line each, warnings first."""
    records = tuple(records)
    warning = undistilled_beats_teacher(records)
    remarks = [f"{WARNING}{warning}"] if warning else []
    remarks += [f"{WARNING}{text}" for text in (*corpus_warnings(records), *same_models(records))]
    if criteria := success_criteria(records):
        hardest_last = sorted(criteria.items(), key=lambda item: -item[1])
        words = ", ".join(f"{name} {veer_pct:g} %" for name, veer_pct in hardest_last)
        remarks.append(f"meets: the hardest criterion that the VEER does not exceed, of {words}")
    trials = trial_histories(records)
    remarks += repeat_remarks(trials)
    remarks += fault_remarks(trials)
    if short := [each for trial in trials for each in trial.retries if "share" in each]:
        remarks.append(_run_again(short))
    if cost := cost_remark(records):
        remarks.append(cost)
    if opened := openings_remark(records):
        remarks.append(opened)
    if counts := model_counts(records):
        remarks.append(counts)
    if broken := [record for record in records if record["event"] == "infeasible"]:
        remarks.append(_limits_broken(broken))
    return remarks


def _run_again(retries: Sequence[Record]) -> str:
    """Return which trials were run again, such as `trial 3 (out of memory, 0.5 GPU)`."""
    shares: dict[int, list[str]] = {}
    for each in retries:
        given = f"{each['share']:g} {each['resource'].upper()}"
        shares.setdefault(each["trial"], []).append(f"{each['kind'].replace('_', ' ')}, {given}")
    trials = (f"trial {number} ({'; '.join(given)})" for number, given in shares.items())
    return f"run again, with the share from then on: {', '.join(trials)}"


def _limits_broken(infeasible: Sequence[Record]) -> str:
    """Return how many suggestions were rejected, and by which limits."""
    violations = [each for record in infeasible for each in record["violations"]]
    rules = [each for each in violations if each["limit"] == BROKEN_RULE]
    limits = Counter(each["limit"] for each in violations if each["limit"] != BROKEN_RULE)
    suggestions = "suggestion" if len(infeasible) == 1 else "suggestions"
    counts = [f"{limit} {count}" for limit, count in limits.most_common()]
    if rules:
        counts.append(f"a rule of the config {len(rules)} ({rules[0]['text']})")
    return f"{len(infeasible)} {suggestions} not run, outside the limits: {', '.join(counts)}"
