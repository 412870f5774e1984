"""What a journal says of how a trial was computed: all that running it again needs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from results.journal.history import TrialHistory, latest, trial_histories
from results.journal.journal import Record
from results.journal.run_folder import RunFolder
from results.terminal.trial import find_trial
from search.provenance.data_record import (
    SHOWN_DIGITS,
    changed_stores,
    require_same_lists,
    require_same_teacher,
)
from search.provenance.differences import UNKNOWN, changed_variables, describe_change
from search.provenance.provenance import CODE_DIGITS
from spaces.files.errors import RunError
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig
from trainable.teachers.any_teacher import BANK_FILE, find_teacher

# Of a corpus what no trial reads.
TEST = ("test_dir", "test_list")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStart:
    """One time that a trial was begun, or begun again.

    Attributes:
        place: The journal's `placed` record.
        provenance: Of the process that led the search then; empty where it is not recorded.
    """

    place: Record
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrial:
    """A trial as the journal has it.

    Attributes:
        history: Its epochs and how it ended.
        config: Its config.
        corpus: What it learnt from.
        targets: How its teacher was asked.
        engine: How it was computed.
        teacher: The teacher's file, checked by its hash; None where it had none.
        sittings: Where it was computed, at least once.
    """

    history: TrialHistory
    config: TrialConfig
    corpus: CorpusConfig
    targets: TargetsConfig
    engine: EngineConfig
    teacher: Path | None
    sittings: tuple[TrialStart, ...]

    @property
    def num_threads(self) -> int:
        """CPU threads that it was begun with."""
        return int(self.sittings[0].place["num_threads"])

    @property
    def device(self) -> str:
        """The kind of device that it was begun on: `cpu` or `cuda`."""
        return "cpu" if self.sittings[0].place["device"] == "cpu" else "cuda"

    def first(self, epochs: int | None) -> "RecordedTrial":
        """Return the same trial with its first epochs only; None for all."""
        kept = {
            epoch: record
            for epoch, record in self.history.epochs.items()
            if epochs is None or epoch <= epochs
        }
        return replace(self, history=replace(self.history, epochs=kept))


def recorded_trial(
    run: RunFolder,
    number: int,
    *,
    corpus: CorpusConfig | None = None,
    teacher: Path | None = None,
) -> RecordedTrial:
    """Read from the journal how a trial was computed.

    Args:
        run: The run.
        number: Of the trial.
        corpus: The same corpus at another place; None for where it was.
        teacher: The same teacher's file at another place; None for where it was.

    Raises:
        RunError: There is no such trial, it has no epoch, the journal does not say where it ran,
            its teacher or its lists are not there any more, or are others.
    """
    records = run.read()
    history = find_trial(trial_histories(records), number)
    if not history.epochs:
        reason = "" if history.ended is None else f": {history.ended['reason']}"
        raise RunError(
            f"trial {number} has no epoch to compare with, it is {history.state}{reason}; "
            "choose a trial with epochs (veer trials lists them)"
        )
    sittings = _sittings(records, number)
    if not sittings:
        raise RunError(
            f"the journal does not say where trial {number} was computed: the search was run by "
            "an older Veer; only trials of newer searches can be reproduced"
        )
    settings = (latest(records, "search_started") or {}).get("settings") or {}
    with _naming_what_is_invalid(run, number):
        config = TrialConfig.model_validate(history.started["config"])
        recorded = CorpusConfig.model_validate(settings.get("corpus"))
        targets = TargetsConfig.model_validate(settings.get("targets") or {})
        engine = EngineConfig.model_validate(settings.get("engine") or {})
    if corpus is not None:
        _require_same_settings(corpus, recorded)
    corpus = corpus or recorded
    require_same_lists(corpus, records)
    return RecordedTrial(
        history=history,
        config=config,
        corpus=corpus,
        targets=targets,
        engine=engine,
        teacher=_teacher(run, config, records, teacher),
        sittings=sittings,
    )


@contextmanager
def _naming_what_is_invalid(run: RunFolder, number: int) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        [first, *_] = error.errors()
        where = ".".join(map(str, first["loc"]))
        raise RunError(
            f"{run.journal}: what trial {number} was run with is not valid in this version of "
            f"Veer ({error.title} {where}: {first['msg']}); reproduce it with the version that "
            "the journal names"
        ) from error


def _sittings(records: Sequence[Record], number: int) -> tuple[TrialStart, ...]:
    """Return where a trial was computed, with what led the search then."""
    found: list[TrialStart] = []
    provenance: Mapping[str, Any] = {}
    for record in records:
        match record["event"]:
            case "search_started" | "search_resumed":
                provenance = record.get("provenance") or {}
            case "placed" if record["trial"] == number:
                found.append(TrialStart(place=record, provenance=provenance))
    return tuple(found)


def _require_same_settings(corpus: CorpusConfig, recorded: CorpusConfig) -> None:
    """Refuse a corpus that says something else than other places."""
    now, then = _beside_places(corpus.model_dump()), _beside_places(recorded.model_dump())
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            raise RunError(
                f"the corpus must be the one that this run began with at another place, but its "
                f"{name} was {then.get(name)}, now {now.get(name)}; restore that setting"
            )


def _beside_places(settings: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Return settings by dotted name; of paths whether there is one, none for the test list."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _beside_places(value, f"{at}{name}.")
        elif name not in TEST:
            found[f"{at}{name}"] = "given" if isinstance(value, Path) else value
    return found


def _teacher(
    run: RunFolder, config: TrialConfig, records: Sequence[Record], elsewhere: Path | None
) -> Path | None:
    """Return the teacher's file, in the run folder where that was moved with a plug-in's embeddings."""
    told = latest(records, "teacher")
    if config.loss.distill_weight == 0 or told is None:
        return None
    if elsewhere is not None:
        file = find_teacher(elsewhere)
        require_same_teacher(file, records)
        return file
    file, moved = Path(told["path"]), run.path.absolute() / BANK_FILE
    if not file.is_file() and file.name == BANK_FILE and moved.is_file():
        file = moved
    if not file.is_file():
        raise RunError(
            f"{file}, the teacher of this run, is not there any more; restore the file with "
            f"SHA-256 {told['sha256'][:12]}, or say where it is with --teacher"
        )
    require_same_teacher(file, records)
    return file


# Variables that choose other kernels, or how threads share the work, and so round otherwise. The
# number of threads (OMP_NUM_THREADS) is set by every trial, and compared itself.
NUMERIC = (
    "ATEN_", "CUBLAS_", "DNNL_", "KMP_DETERMINISTIC_REDUCTION", "KMP_FORCE_REDUCTION", "MKL_",
    "NVIDIA_", "OMP_DYNAMIC", "OMP_SCHEDULE", "OMP_THREAD_LIMIT", "ONEDNN_", "TORCHINDUCTOR_",
    "TORCH_",
)  # fmt: skip
WORDS = {"cpu": "CPU", "torch_cpu_capability": "CPU capability", "torch": "torch build"}


def condition_differences(
    trial: RecordedTrial, records: Sequence[Record], now: TrialStart, stores: Mapping[str, str]
) -> list[str]:
    """Return what differs between each time that the trial was begun and now, a sentence each.

    Args:
        trial: As recorded.
        records: The journal.
        now: Where it runs now, and what of.
        stores: Keys of the stores of log-mels now, by name.
    """
    facts = _facts(now)
    told = [
        describe_change(name, then.get(name, UNKNOWN), value)
        for sitting in trial.sittings
        for then in (_facts(sitting),)
        for name, value in facts.items()
        if then.get(name, UNKNOWN) != value
    ]
    for sitting in trial.sittings:
        told += changed_variables(sitting.provenance, now.provenance, NUMERIC)
    told += [
        describe_change(f"store {name!r} of the log-mels (sizes and times of the audio)", *keys)
        for name, (then_key, now_key) in changed_stores(stores, records).items()
        for keys in ((then_key[:SHOWN_DIGITS], now_key[:SHOWN_DIGITS]),)
    ]
    return list(dict.fromkeys(told))


def _facts(sitting: TrialStart) -> dict[str, str]:
    """Return all that must be equal for the same bits, by name, as text."""
    place, led = sitting.place, sitting.provenance
    hardware = place["hardware"]
    facts = {
        **{word: hardware.get(name) for name, word in WORDS.items()},
        "device": place["device"],
        "threads": place["num_threads"],
        **(led.get("versions") or {}),
        "python": ".".join((hardware.get("python") or "").split(".")[:2]) or None,
        "Veer's code": (led.get("code_sha256") or "")[:CODE_DIGITS] or None,
        "model": place.get("model_hash"),
        "config": place.get("config_hash"),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}
