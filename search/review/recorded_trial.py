"""How a trial was computed, from the journal: its inputs, and the conditions of each start.

`recorded_trial` reads what is needed to run the trial again. `condition_differences` compares the
recorded conditions (hardware, versions, code, environment, stores) with those of the new run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from results.analysis.run_view import RunView
from results.journal.history import TrialHistory
from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.records.search_records import SearchResumed, SearchStarted
from results.records.trial_records import TrialPlaced
from results.terminal.trial import find_trial
from search.estimates.precision import recorded_engine
from search.provenance.data_record import (
    SHA256_DIGITS,
    changed_stores,
    require_same_lists,
    require_same_teacher,
    targets_device,
)
from search.provenance.differences import UNKNOWN, changed_variables, describe_change
from search.provenance.provenance import CODE_DIGITS
from search.suggest.eval_plan import recorded_eval_plan
from spaces.files.errors import RunError
from trainable.config.eval_plan import EVERY_EPOCH, EvalPlan
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig
from trainable.teachers.any_teacher import BANK_FILE, GRAPH_FILE, find_teacher, is_plugin

# Settings of a corpus that no trial reads.
TEST_SETTINGS = ("test_dir", "test_list")
# Prefixes of environment variables that select kernels, or how threads share the work, and so
# change the rounding. OMP_NUM_THREADS is missing here: every trial sets it, and the number of
# threads is compared itself.
NUMERIC_VARIABLES = (
    "ATEN_", "CUBLAS_", "DNNL_", "KMP_DETERMINISTIC_REDUCTION", "KMP_FORCE_REDUCTION", "MKL_",
    "NVIDIA_", "OMP_DYNAMIC", "OMP_SCHEDULE", "OMP_THREAD_LIMIT", "ONEDNN_", "TORCHINDUCTOR_",
    "TORCH_",
)  # fmt: skip
HARDWARE_NAMES = {
    "cpu": "CPU",
    "torch_cpu_capability": "CPU capability",
    "torch": "torch build",
    "gpu_driver": "GPU driver",
    "cudnn": "cuDNN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStart:
    """One start of a trial in a worker: the first, or after an interruption or a fault.

    Attributes:
        placement: The journal's `placed` record.
        provenance: Provenance of the driver process at that time; empty if not recorded.
    """

    placement: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrial:
    """A trial as recorded in the journal.

    Attributes:
        history: Its epochs and how it ended.
        config: Its config.
        corpus: The corpus that it was trained on.
        targets: How the teacher's targets were computed.
        targets_device: Kind of device that computed them.
        engine: The settings of the computation.
        teacher: The teacher's file, verified by its hash; None for a trial without one.
        starts: Its starts in workers, at least one.
        eval_plan: The epochs that were evaluated.
    """

    history: TrialHistory
    config: TrialConfig
    corpus: CorpusConfig
    targets: TargetsConfig
    engine: EngineConfig
    teacher: Path | None
    starts: tuple[TrialStart, ...]
    targets_device: str = "cpu"
    eval_plan: EvalPlan = EVERY_EPOCH

    @property
    def num_threads(self) -> int:
        """CPU threads of the first start."""
        return int(self.starts[0].placement["num_threads"])

    @property
    def device(self) -> str:
        """The kind of device of the first start: `cpu` or `cuda`."""
        return "cpu" if self.starts[0].placement["device"] == "cpu" else "cuda"

    def first(self, epochs: int | None) -> "RecordedTrial":
        """Return the same trial with its first epochs only; with all for None."""
        # Without placements, whose lists of epochs the copy would share.
        history = replace(self.history, placements=[])
        for epoch, record in self.history.epochs.items():
            if epochs is None or epoch <= epochs:
                history.add_epoch(record)
        return replace(self, history=history)


def recorded_trial(
    run: RunView,
    number: int,
    *,
    corpus: CorpusConfig | None = None,
    teacher: Path | None = None,
) -> RecordedTrial:
    """Read from the journal how a trial was computed.

    Args:
        run: The run.
        number: Number of the trial.
        corpus: The same corpus at another path; None for the recorded path.
        teacher: The same teacher's file at another path; None for the recorded path.

    Raises:
        RunError: There is no such trial, it has no epoch, the journal does not record where it
            ran, or its teacher or its lists are missing or have changed.
    """
    history = find_trial(run.histories, number)
    if not history.epochs:
        reason = "" if history.ended is None else f": {history.ended.reason}"
        raise RunError(
            f"trial {number} has no epoch to compare with, it is {history.state}{reason}; "
            "choose a trial with epochs (veer trials lists them)"
        )
    starts = _starts(run.records, number)
    if not starts:
        raise RunError(
            f"the journal does not record where trial {number} was computed (no `placed` record); "
            "only a trial with one can be reproduced"
        )
    # Of the start: a resume cannot change what a trial computes, see `MAY_CHANGE`.
    started = run.latest(SearchStarted)
    settings = {} if started is None else started.settings
    with _explaining_invalid_settings(run.folder, number):
        config = TrialConfig.model_validate(history.started.config)
        recorded = CorpusConfig.model_validate(settings.get("corpus"))
        targets = TargetsConfig.model_validate(settings.get("targets") or {})
        engine = EngineConfig.model_validate(settings.get("engine") or {})
        engine = recorded_engine(engine, run.records)
    if corpus is not None:
        _require_same_settings(corpus, recorded)
    corpus = corpus or recorded
    require_same_lists(corpus, run.records)
    return RecordedTrial(
        history=history,
        config=config,
        corpus=corpus,
        targets=targets,
        engine=engine,
        teacher=_teacher(run, config, teacher),
        starts=starts,
        targets_device=targets_device(run.records) or "cpu",
        eval_plan=recorded_eval_plan(run.records),
    )


def condition_differences(
    trial: RecordedTrial, records: Sequence[Record], now: TrialStart, stores: Mapping[str, str]
) -> list[str]:
    """Describe each difference between the recorded starts of a trial and a new one.

    Args:
        trial: The recorded trial.
        records: The journal.
        now: The new start.
        stores: Keys of the current stores of log-mels, by name.
    """
    facts = _facts(now)
    differences = [
        describe_change(name, then.get(name, UNKNOWN), value)
        for start in trial.starts
        for then in (_facts(start),)
        for name, value in facts.items()
        if then.get(name, UNKNOWN) != value
    ]
    for start in trial.starts:
        differences += changed_variables(start.provenance, now.provenance, NUMERIC_VARIABLES)
    differences += [
        describe_change(f"store {name!r} of the log-mels (sizes and times of the audio)", *keys)
        for name, (then_key, now_key) in changed_stores(stores, records).items()
        for keys in ((then_key[:SHA256_DIGITS], now_key[:SHA256_DIGITS]),)
    ]
    # Each difference once, in order: several starts usually share their conditions.
    return list(dict.fromkeys(differences))


@contextmanager
def _explaining_invalid_settings(run: RunFolder, number: int) -> Iterator[None]:
    """Raise a RunError with the first invalid setting in place of a ValidationError."""
    try:
        yield
    except ValidationError as error:
        [first, *_] = error.errors()
        where = ".".join(map(str, first["loc"]))
        raise RunError(
            f"{run.journal}: the settings of trial {number} are not valid in this version of Veer "
            f"({error.title} {where}: {first['msg']}); reproduce it with the "
            "version that the journal names"
        ) from error


def _starts(records: Sequence[Record], number: int) -> tuple[TrialStart, ...]:
    """Return the starts of a trial, each with the provenance of the driver at that time."""
    found: list[TrialStart] = []
    provenance: Mapping[str, Any] = {}
    for record in records:
        match record:
            case SearchStarted() | SearchResumed():
                provenance = record.provenance or {}
            case TrialPlaced() if record.trial == number:
                found.append(TrialStart(placement=record.as_dict(), provenance=provenance))
    return tuple(found)


def _require_same_settings(corpus: CorpusConfig, recorded: CorpusConfig) -> None:
    """Raise RunError unless two corpus configs differ in their paths only."""
    now, then = _without_paths(corpus.model_dump()), _without_paths(recorded.model_dump())
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            raise RunError(
                f"the corpus must be the one that this run started with, in another folder, but "
                f"its {name} was {then.get(name)}, now {now.get(name)}; restore that setting"
            )


def _without_paths(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted name, each path replaced by `given`, without the test list."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _without_paths(value, f"{prefix}{name}.")
        elif name not in TEST_SETTINGS:
            found[f"{prefix}{name}"] = "given" if isinstance(value, Path) else value
    return found


def _teacher(run: RunView, config: TrialConfig, elsewhere: Path | None) -> Path | None:
    """Return the verified file of the teacher; None if the trial does not distil."""
    recorded = run.teacher
    if config.loss.distill_weight == 0 or recorded is None:
        return None
    if elsewhere is not None:
        if is_plugin(elsewhere):
            raise RunError(
                "--teacher must be the embeddings that this run learnt from, got the plug-in "
                f"{elsewhere}: they are kept in {recorded.path}; leave --teacher out, or give "
                "their path now"
            )
        file = find_teacher(elsewhere)
        require_same_teacher(file, run.records)
        return file
    file = Path(recorded.path)
    moved = run.folder.path.absolute() / file.name
    # A plug-in's embeddings are in the run folder, which may have been moved as a whole.
    if not file.is_file() and file.name in (BANK_FILE, GRAPH_FILE) and moved.is_file():
        file = moved
    if not file.is_file():
        raise RunError(
            f"{file}, the teacher of this run, is missing; restore the file with SHA-256 "
            f"{recorded.sha256[:12]}, or give its path with --teacher"
        )
    require_same_teacher(file, run.records)
    return file


def _facts(start: TrialStart) -> dict[str, str]:
    """Return by name, as text, all conditions that must be equal for bit-equal results."""
    placement, driver = start.placement, start.provenance
    hardware = placement["hardware"]
    facts = {
        **{word: hardware.get(name) for name, word in HARDWARE_NAMES.items()},
        "device": placement["device"],
        "threads": placement["num_threads"],
        **(driver.get("versions") or {}),
        "python": ".".join((hardware.get("python") or "").split(".")[:2]) or None,
        "Veer's code": (driver.get("code_sha256") or "")[:CODE_DIGITS] or None,
        "model": placement.get("model_hash"),
        "config": placement.get("config_hash"),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}
