"""The test list is locked: what keeps it from being read by the way, and what opens it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from results.analysis.faults import counted, utc
from results.journal.journal import Journal
from search.provenance.run_lock import run_lock
from search.review.model_source import ModelSource
from spaces.files.digest import file_sha256
from spaces.files.errors import ConfigError, DiskFullError, RunError
from trainable.corpus.corpus import CorpusConfig, TrialPair, read_trial_list
from trainable.corpus.known_lists import (
    content_sha256,
    is_same_file,
    known_list,
    overlap_warnings,
    paths_of,
)
from trainable.corpus.lists import parse_trial_list
from trainable.corpus.test_list_ledger import Opening, OpeningLedger, PastOpenings, new_opening

MAX_LISTED_OPENINGS = 5
CHOOSING = (
    "choosing between models by a test list makes it a validation list: whatever comes of this, "
    "report this figure, or take a new test list"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialList:
    """A trial list that was read.

    Attributes:
        file: The list.
        root: Folder that its paths start from.
        pairs: Its trial pairs.
        sha256: Of its content.
    """

    file: Path
    root: Path
    pairs: tuple[TrialPair, ...]
    sha256: str


def read_list(file: Path, root: Path) -> TrialList:
    """Read and checks a trial list; no audio is opened.

    Raises:
        CorpusError: With every fault.
    """
    pairs = read_trial_list(file, root)
    return TrialList(file=file, root=root, pairs=pairs, sha256=content_sha256(pairs))


def final_list_of(corpus: CorpusConfig | None, named: str) -> tuple[Path, Path]:
    """Return a corpus's test list and the folder that its paths start from.

    Raises:
        ConfigError: There is no corpus, or it has no test list.
    """
    if corpus is None or corpus.test_list is None or corpus.test_dir is None:
        lacks = "has no record of its corpus" if corpus is None else "has a corpus without one"
        raise ConfigError(
            f"--final needs a test list, and {named} {lacks}: give --pairs and --root, or a "
            "--corpus whose corpus.yaml has test_dir and test_list"
        )
    return corpus.test_list, corpus.test_dir


def refuse_locked(
    trials: TrialList, corpus: CorpusConfig | None, cache: Path, command: str
) -> None:
    """Refuse a list that is a test list, where it is not to be opened as one.

    Args:
        trials: The list that is to be scored.
        corpus: That the model was trained on, None where it is not known.
        cache: The cache folder, with the ledger of this person.
        command: What opens it.

    Raises:
        ConfigError: It is the corpus's test list, or one that was opened before, or one that
            results are published on.
    """
    if (why := _why_locked(trials, corpus, cache)) is not None:
        raise ConfigError(
            f"{trials.file} is {why}: a test list is opened once, at the end, for the model that "
            f"was chosen without it; if that is what this is, so that it is recorded: {command}"
        )


def _why_locked(trials: TrialList, corpus: CorpusConfig | None, cache: Path) -> str | None:
    if corpus is not None and corpus.test_list is not None and _is_list(trials, corpus.test_list):
        return "the test list of the corpus that the model was trained on"
    past = OpeningLedger(trials.file, cache).past(trials.sha256).openings
    if past:
        times = counted(len(past), "time")
        return f"a test list, opened {times} before (last {utc(past[-1].time_s)} UTC)"
    num_targets = sum(pair.is_target for pair in trials.pairs)
    known = known_list(paths_of(trials.pairs), len(trials.pairs), num_targets)
    return None if known is None else f"{known.name}, which results are published on"


def _is_list(trials: TrialList, other: Path) -> bool:
    """Return whether a list holds the same pairs as another file, which may be gone."""
    if is_same_file(trials.file, other):
        return True
    if not other.is_file():
        return False
    faults: list[str] = []
    pairs = parse_trial_list(other, other.parent, faults, check_files=False)
    return not faults and content_sha256(pairs) == trials.sha256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinalTest:
    """An opening that was recorded.

    Attributes:
        opening: This one.
        past: Those before it.
        ledger: Where it is written.
        files: The files that hold it.
        warnings: What is to be said with the figures.
    """

    opening: Opening
    past: PastOpenings
    ledger: OpeningLedger
    files: tuple[Path, ...]
    warnings: tuple[str, ...]


def open_test_list(
    source: ModelSource, trials: TrialList, cache: Path, say: Callable[[str], None]
) -> FinalTest:
    """Record that a test list is opened for a model, before anything of it is computed.

    Args:
        source: The model.
        trials: The test list.
        cache: The cache folder.
        say: Told of what keeps the search's journal from being written.

    Raises:
        RunError: It cannot be recorded; or the search is running, which might still find a better
            trial.
        DiskFullError: There is no room for the record.
    """
    opening = new_opening(
        model=source.loaded.file,
        model_sha256=file_sha256(source.loaded.file),
        list_file=trials.file,
        list_sha256=trials.sha256,
        num_pairs=len(trials.pairs),
        of_search=source.of_search,
    )
    ledger = OpeningLedger(trials.file, cache)
    with _journal_of(source, say) as journal:
        past, files = ledger.record(opening)
        if journal is not None:
            journal.append(
                "test_opened",
                opening=opening.id,
                trial=source.trial,
                epoch=source.loaded.epoch,
                path=opening.list_file,
                list_sha256=trials.sha256,
                num_pairs=len(trials.pairs),
                model_sha256=opening.model_sha256,
            )
    warnings = (*_overlaps(source, trials), *_ledger_warnings(ledger, past, files), CHOOSING)
    return FinalTest(opening=opening, past=past, ledger=ledger, files=files, warnings=warnings)


@contextmanager
def _journal_of(source: ModelSource, say: Callable[[str], None]) -> Iterator[Journal | None]:
    """Yield the journal of the model's search, to be written to; None without one that can be."""
    if source.run is None:
        yield None
        return
    path = source.run.path
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(path))
            journal = stack.enter_context(Journal(source.run.journal))
        except DiskFullError:
            raise
        except RunError as error:
            raise RunError(
                f"{error}: while a search runs, its best trial is not known; the test list was "
                "not opened"
            ) from error
        except OSError as error:
            say(f"{path}: cannot be written ({error.strerror}): the ledger alone has the opening")
            journal = None
        yield journal


def describe_openings(past: PastOpenings) -> str:
    """Return how often a list was opened before, when and for which models."""
    if not past.openings:
        return "the test list was never opened before"
    told = [
        f"{utc(each.time_s)} UTC by {each.user} for {_model_of(each)}"
        for each in past.openings[-MAX_LISTED_OPENINGS:]
    ]
    earlier = len(past.openings) - len(told)
    first = f"{counted(earlier, 'earlier opening')}; " if earlier else ""
    times = counted(len(past.openings), "time")
    return f"the test list was opened {times} before: {first}{'; '.join(told)}"


def _model_of(opening: Opening) -> str:
    if opening.run is not None and opening.trial is not None:
        name = f"trial {opening.trial} of {opening.run}"
    else:
        name = opening.model
    eer_pct = (opening.figures or {}).get("eer_pct")
    return f"{name} (EER {eer_pct:.2f} %)" if isinstance(eer_pct, float) else name


def _overlaps(source: ModelSource, trials: TrialList) -> Sequence[str]:
    """Return what validation and test list share, where the model's validation list is still there."""
    try:
        corpus = source.corpus()
    except ConfigError:  # of another version; the list was then named by the person
        return ()
    if corpus is None or not corpus.val_list.is_file():
        return ()
    faults: list[str] = []
    val_pairs = parse_trial_list(corpus.val_list, corpus.val_dir, faults, check_files=False)
    if faults:
        return ()
    if content_sha256(val_pairs) == trials.sha256:
        return (f"this is the validation list of {source.loaded.file}: no test list",)
    return overlap_warnings(val_pairs, trials.pairs)


def _ledger_warnings(
    ledger: OpeningLedger, past: PastOpenings, files: Sequence[Path]
) -> Sequence[str]:
    warnings = [f"{place}: cannot be read, and may be an opening too" for place in past.unreadable]
    beside = ledger.files[0]
    if beside not in files:
        warnings.append(
            f"{beside} cannot be written: others who share the list do not learn of this opening, "
            f"which is in {files[-1]} alone"
        )
    return warnings
