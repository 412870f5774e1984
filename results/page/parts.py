"""The parts of a run's page that are words: how it stands, what to do next, where it came from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.analysis.faults import fault_in_words, reason_of, utc
from results.analysis.ranking import ranked
from results.analysis.remarks import success_criteria
from results.analysis.rungs import rungs_of
from results.journal.history import STARTS, UNRANKED, TrialHistory, last_turn, latest
from results.journal.journal import ENDINGS, Record
from results.journal.run_folder import RunFolder
from results.page.table import Cells, Facts, facts_of, plain_cells
from results.page.trials import flag_of
from results.terminal.cells import MISSING, cell
from results.terminal.facts import percent, repeat_words, spread_words, tie_words
from results.terminal.quoting import veer_command

MAX_SPACE_BYTES = 100_000
PLAIN_SETTINGS = ("num_trials", "max_epochs", "repetitions", "time_limit_s", "seed")
NOT_LUCKIEST = "the VEER is the luckiest epoch's, and so too low"
ENDED = {
    "finished": "finished: every trial has ended",
    "target_met": "finished: a trial met the target",
    "epochs_spent": "finished: the trials have had all the epochs that they might have",
    "exhausted": "finished: the space has no other config",
    "interrupted": "interrupted",
    "time_limit": "stopped at its time limit",
    "failing": "stopped: too many trials failed",
    "disk_full": "stopped: the disk was full",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to copy, and what it does."""

    does: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure that matters: its name, the figure, and what is to be known about it."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One process that led the search: when it began, and what it was.

    Attributes:
        title: How and when it began.
        facts: What it was; of a later one, what was not so before.
        rest: What is to be said of the facts left out.
    """

    title: str
    facts: Facts
    rest: str = ""


def state_of(records: Sequence[Record]) -> str:
    """How the search stands."""
    last = last_turn(records)
    if last is None:
        return "Not begun: the journal has no start of a search"
    if last["event"] != "search_ended":
        return (
            "Running when this page was written, or killed: its journal has no end. The last "
            f"entry is of {utc(records[-1]['time_s'])} UTC"
        )
    reason = str(last["reason"])
    ended = ENDED.get(reason, reason)
    return f"{ended[:1].upper()}{ended[1:]}, at {utc(last['time_s'])} UTC"


def best_tiles(
    rows: Sequence[Mapping[str, Any]], trials: Sequence[TrialHistory], records: Sequence[Record]
) -> Iterable[Tile]:
    """The best trial against teacher, criteria and the other trials; nothing without one.

    Args:
        rows: Of the trials table, the first in rank first.
        trials: The run's.
        records: The journal's.
    """
    best = next(iter(ranked(trials)), None)
    if best is None or not rows:
        return
    row, criteria = rows[0], success_criteria(records)
    teacher_pct = (latest(records, "teacher") or {}).get("veer_pct")
    state = "" if best.ended is not None else "has not ended yet"
    yield Tile(name="VEER", value=percent(row["veer_pct"]) or MISSING, more=spread_words(row))
    yield Tile(name="VEER of the teacher", value=percent(teacher_pct) or "unknown")
    yield Tile(name="trial", value=str(best.trial), more=state)
    if row["median_veer_pct"] is not None:
        value = percent(row["median_veer_pct"]) or MISSING
        yield Tile(name="median of the last five epochs", value=value, more=NOT_LUCKIEST)
    if repeats := repeat_words(row):
        yield Tile(name="repeats with other seeds", value=repeats)
    if ties := tie_words(rows):
        yield Tile(name="cannot be told apart from it", value=ties)
    if criteria:
        told = ", ".join(f"{name} {veer_pct:g} %" for name, veer_pct in criteria.items())
        yield Tile(name="meets", value=row["meets"] or "none of the criteria", more=told)
    yield Tile(name="parameters", value=cell("num_params", row["num_params"]))
    if row["speed_ratio"] is not None:
        more = "the teacher's, one utterance at a time on a CPU"
        yield Tile(name="speed", value=f"{row['speed_ratio']:.2f} x", more=more)


def next_commands(
    run: RunFolder, records: Sequence[Record], trials: Sequence[TrialHistory]
) -> Iterable[Command]:
    """The commands that the person may want next: export, and resume where there is more to do."""
    folder = run.path.absolute()
    ended = [trial for trial in ranked(trials) if trial.ended is not None]
    if ended:
        number, flag = str(ended[0].trial), _permission(ended[:1])
        does = f"Export trial {number}: config, weights, model card"
        yield Command(does=does, text=veer_command("export", folder, "--trial", number, *flag))
    last = last_turn(records)
    if last is None or last.get("reason") not in ENDINGS:
        does = "Go on with the search, where it does not run"
        yield Command(does=does, text=veer_command("resume", folder, *_permission(trials)))


def _permission(trials: Iterable[TrialHistory]) -> list[str]:
    """The flag without which the trials' models may not be built."""
    return next((flag for flag in map(flag_of, trials) if flag), [])


def fault_cells(records: Sequence[Record]) -> Cells:
    """A row a fault, oldest first."""
    rows = [
        (utc(each["time_s"]), each["trial"], each["epoch"], each["kind"],
         fault_in_words(each["kind"]), each["message"])
        for each in records
        if each["event"] == "infrastructure"
    ]  # fmt: skip
    return plain_cells(("when (UTC)", "trial", "after epoch", "kind", "meaning", "message"), rows)


def unranked_cells(trials: Sequence[TrialHistory]) -> Cells:
    """A row a trial that failed or diverged, by number, with the reason."""
    rows = [
        (
            each.trial,
            each.state,
            len(each.epochs),
            cell("veer_pct", None if each.best is None else each.best["veer_pct"]),
            reason_of(each) or "",
        )
        for each in trials
        if each.state in UNRANKED
    ]
    return plain_cells(("trial", "state", "epochs", "lowest VEER %", "reason"), rows)


def searched_facts(
    records: Sequence[Record], settings: Mapping[str, Any], teacher: Record | None
) -> Facts:
    """What was searched, how, on which corpus, with which teacher; the unknown is left out."""
    scheduler = settings.get("scheduler") or {}
    rungs = ", ".join(f"{rung:g}" for rung in rungs_of(settings))
    started = [record for record in records if record["event"] == "trial_started"]
    sampled = dict.fromkeys(name for record in started for name in record["params"])
    points = latest(records, "start_points") or {"points": ()}
    return facts_of(
        {
            "sampled parameters": list(sampled) or None,
            "sampler": settings.get("sampler"),
            "early stopping": scheduler.get("kind"),
            "rungs": f"epochs {rungs}" if rungs else None,
            **{key.replace("_", " "): settings.get(key) for key in PLAIN_SETTINGS},
            "success": success_criteria(records) or None,
            "stop at": settings.get("stop_at"),
            "starting points": [point["source"] for point in points["points"]] or None,
            "corpus": settings.get("corpus"),
            "teacher": _teacher_facts(teacher) if teacher else "none",
        },
        leave_out_none=True,
    )


def _teacher_facts(teacher: Record) -> Record:
    return {
        "file": teacher["path"],
        "VEER": "unknown" if teacher["veer_pct"] is None else f"{teacher['veer_pct']:.2f} %",
        "parameters": cell("num_params", teacher["num_params"]),
        "SHA-256": teacher["sha256"],
    }


def space_text(path: Path) -> str | None:
    """The text of a space file, cut where it is far too long; None where there is none."""
    # A link in somebody else's run folder could put any file of the reader's on the page.
    if path.is_symlink() or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SPACE_BYTES + 1)
    except OSError:
        return None
    text = content[:MAX_SPACE_BYTES].decode(errors="replace")
    cut = f"\n... (cut here: longer than {MAX_SPACE_BYTES:,} bytes)"
    return text + cut * (len(content) > MAX_SPACE_BYTES)


def stages_of(records: Sequence[Record]) -> Iterable[Stage]:
    """Where each stretch of the search came from, and the corpus that it last learnt from."""
    before: dict[str, str] = {}
    for record in records:
        if record["event"] in STARTS:
            how = "Begun" if record["event"] == "search_started" else "Resumed"
            facts = dict(facts_of(record.get("provenance") or {}, leave_out_none=True))
            # A fact that is gone is a change too.
            now = facts | {name: MISSING for name in before if name not in facts}
            new = tuple((name, text) for name, text in now.items() if before.get(name) != text)
            rest = "" if len(new) == len(now) else f"{'All else' if new else 'All'} as before."
            yield Stage(title=f"{how} at {utc(record['time_s'])} UTC", facts=new, rest=rest)
            before = facts
    if corpus := latest(records, "corpus"):
        told = {name: corpus[name] for name in ("lists", "stores")}
        yield Stage(title="Corpus", facts=facts_of(told))
