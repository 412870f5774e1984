"""Text parts of a run's page: state, best trial, next commands, faults, provenance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.analysis.faults import fault_in_words, reason_of, utc
from results.analysis.grace import grace_epochs_now, is_auto
from results.analysis.run_view import RunView
from results.journal.decision import FIGURE_NAMES
from results.journal.history import UNRANKED, TrialHistory
from results.page.table import Facts, PageTable, flat_facts, plain_table
from results.page.trials import code_flag
from results.records.search_records import (
    ENDINGS,
    CorpusRecord,
    SearchEnded,
    SearchStarted,
    StartPointsRead,
    TeacherRecord,
)
from results.records.trial_records import InfrastructureFault
from results.terminal.cells import MISSING, cell
from results.terminal.facts import percent, repeat_words, spread_words, tie_words
from results.terminal.quoting import veer_command

_MAX_SPACE_BYTES = 100_000  # far more than any space needs; the page must stay small
# Settings that the page shows under their own names.
_PLAIN_SETTINGS = ("num_trials", "max_epochs", "repetitions", "time_limit_s", "seed")
# Note at the median, on why it is shown besides the VEER.
_WHY_MEDIAN = "the VEER is that of the luckiest epoch, so it is too low"
_END_REASONS = {
    "finished": "finished: every trial has ended",
    "target_met": "finished: a trial met the target",
    "epochs_spent": "finished: the trials have used all epochs of the budget",
    "exhausted": "finished: the space has no more configs",
    "interrupted": "interrupted",
    "time_limit": "stopped at its time limit",
    "failing": "stopped: too many trials failed",
    "disk_full": "stopped: the disk was full",
    "inverted": "stopped: the labels of the validation list seem swapped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to copy.

    Attributes:
        purpose: What the command does.
        text: The command line.
    """

    purpose: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One of the important numbers of the best trial.

    Attributes:
        name: Name of the number.
        value: The number with its unit.
        note: A remark below the number; may be empty.
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStart:
    """A start of the search: its first one, or a later one by `veer resume`.

    Attributes:
        title: Kind and time of the start.
        facts: Provenance of the process; for a later start, only what changed.
        rest: A sentence on the facts that did not change; may be empty.
    """

    title: str
    facts: Facts
    rest: str = ""


def search_state(view: RunView) -> str:
    """Return a sentence, without its full stop, on whether the search runs or how it ended."""
    last = view.last_turn
    if last is None:
        return "Not started: the journal has no start of a search"
    if not isinstance(last, SearchEnded):
        return (
            "Running when this page was written, or killed: the journal has no end of the search. "
            f"Its last entry is from {utc(view.records[-1].time_s)} UTC"
        )
    ended = _END_REASONS.get(last.reason, last.reason)
    return f"{ended[:1].upper()}{ended[1:]}, at {utc(last.time_s)} UTC"


def best_tiles(view: RunView, rows: Sequence[Mapping[str, Any]]) -> Iterable[Tile]:
    """Yield numbers of the best trial, with teacher and criteria; none without a ranked trial.

    Args:
        view: The run.
        rows: Rows of the trials table in order of rank.
    """
    if view.best is None or not rows:
        return
    row = rows[0]
    state = "" if view.best.ended is not None else "has not ended yet"
    yield Tile(name="VEER", value=percent(row["veer_pct"]) or MISSING, note=spread_words(row))
    yield Tile(name="VEER of the teacher", value=percent(view.teacher_veer_pct) or "unknown")
    yield Tile(name="trial", value=str(view.best.trial), note=state)
    if row["median_veer_pct"] is not None:
        value = percent(row["median_veer_pct"]) or MISSING
        yield Tile(name="median of the last five epochs", value=value, note=_WHY_MEDIAN)
    if repeats := repeat_words(row):
        yield Tile(name="repeats with other seeds", value=repeats)
    if ties := tie_words(rows):
        yield Tile(name="cannot be distinguished from it", value=ties)
    if view.success:
        limits = ", ".join(f"{name} {veer_pct:g} %" for name, veer_pct in view.success.items())
        yield Tile(name="meets", value=row["meets"] or "none of the criteria", note=limits)
    yield Tile(name="parameters", value=cell("num_params", row["num_params"]))
    if row["speed_ratio"] is not None:
        note = "compared with the teacher, one utterance at a time on a CPU"
        yield Tile(name="speed", value=f"{row['speed_ratio']:.2f} x", note=note)


def next_commands(view: RunView) -> Iterable[Command]:
    """Yield useful next commands: export the best trial, and resume if the search can continue."""
    folder = view.folder.path.absolute()
    ended = [trial for trial in view.ranked if trial.ended is not None]
    if ended:
        number, flag = str(ended[0].trial), code_flag(ended[0])
        purpose = f"Export trial {number}: config, weights, model card"
        yield Command(
            purpose=purpose, text=veer_command("export", folder, "--trial", number, *flag)
        )
    last = view.last_turn
    if not isinstance(last, SearchEnded) or last.reason not in ENDINGS:
        purpose, flag = "Continue the search, if it is not running", _any_code_flag(view.histories)
        yield Command(purpose=purpose, text=veer_command("resume", folder, *flag))


def _any_code_flag(trials: Iterable[TrialHistory]) -> list[str]:
    """Return `--allow-code` in a list if a trial needs it, else an empty list."""
    return next((flag for flag in map(code_flag, trials) if flag), [])


def faults_table(view: RunView) -> PageTable:
    """Return a table of faults, the oldest first."""
    rows = [
        (utc(each.time_s), each.trial, each.epoch, each.kind,
         fault_in_words(each.kind), each.message)
        for each in view.all_of(InfrastructureFault)
    ]  # fmt: skip
    return plain_table(("when (UTC)", "trial", "after epoch", "kind", "meaning", "message"), rows)


def unranked_table(trials: Sequence[TrialHistory]) -> PageTable:
    """Return a table of the trials that failed or diverged, by number, with reasons."""
    rows = [
        (
            each.trial,
            each.state,
            len(each.epochs),
            cell("veer_pct", each.best_veer_pct),
            reason_of(each) or "",
        )
        for each in trials
        if each.state in UNRANKED
    ]
    return plain_table(("trial", "state", "epochs", "lowest VEER %", "reason"), rows)


def search_facts(view: RunView) -> Facts:
    """Return parameters, sampler, corpus and teacher of the search; unknown ones are left out."""
    settings = view.settings
    scheduler = settings.get("scheduler") or {}
    rungs = ", ".join(f"{rung:g}" for rung in view.rungs)
    sampled = dict.fromkeys(name for trial in view.histories for name in trial.params)
    points = view.latest(StartPointsRead)
    return flat_facts(
        {
            "sampled parameters": list(sampled) or None,
            "sampler": settings.get("sampler"),
            "trials compared by": FIGURE_NAMES[view.decide_by],
            "early stopping": scheduler.get("kind"),
            "rungs": f"epochs {rungs}" if rungs else None,
            "grace epochs": f"auto, now {grace_epochs_now(view):g}" if is_auto(view) else None,
            **{key.replace("_", " "): settings.get(key) for key in _PLAIN_SETTINGS},
            "success": view.success or None,
            "stop at": settings.get("stop_at"),
            "starting points": [each.source for each in points.points] if points else None,
            "learns from": settings.get("learn_from") or None,
            "corpus": settings.get("corpus"),
            "teacher": _teacher_facts(view.teacher) if view.teacher else "none",
        },
        leave_out_none=True,
    )


def _teacher_facts(teacher: TeacherRecord) -> dict[str, Any]:
    return {
        "file": teacher.path,
        "VEER": "unknown" if teacher.veer_pct is None else f"{teacher.veer_pct:.2f} %",
        "parameters": cell("num_params", teacher.num_params),
        "SHA-256": teacher.sha256,
    }


def space_text(path: Path) -> str | None:
    """Return the text of a space file, cut if it is far too long; None if there is none."""
    # A link in a foreign run folder could put a private file of the reader on the page.
    if path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SPACE_BYTES + 1)
    except OSError:
        return None
    text = content[:_MAX_SPACE_BYTES].decode(errors="replace")
    cut = f"\n... (cut here: longer than {_MAX_SPACE_BYTES:,} bytes)"
    return text + cut * (len(content) > _MAX_SPACE_BYTES)


def search_starts(view: RunView) -> Iterable[SearchStart]:
    """Yield the provenance of each start of the search, and then of its last corpus."""
    before: dict[str, str] = {}
    for session in view.sessions:
        start = session.start
        how = "Started" if isinstance(start, SearchStarted) else "Resumed"
        facts = dict(flat_facts(start.provenance or {}, leave_out_none=True))
        # A fact that the new start does not have is a change too.
        now = facts | {name: MISSING for name in before if name not in facts}
        new = tuple((name, text) for name, text in now.items() if before.get(name) != text)
        rest = "" if len(new) == len(now) else f"Everything{' else' if new else ''} as before."
        yield SearchStart(title=f"{how} at {utc(start.time_s)} UTC", facts=new, rest=rest)
        before = facts
    if corpus := view.latest(CorpusRecord):
        given = corpus.as_dict()
        facts_of_corpus = {name: given[name] for name in ("lists", "stores")}
        yield SearchStart(title="Corpus", facts=flat_facts(facts_of_corpus))
