"""The lock on the test list: it is scored only by an explicit opening, which is recorded."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from results.analysis.faults import counted, utc
from results.journal.journal import Journal
from results.records.trial_records import FinalTestOpened
from search.provenance.run_lock import run_lock
from search.review.model_source import ModelSource
from search.review.trial_list import TrialList
from spaces.files.digest import file_sha256
from spaces.files.errors import ConfigError, CorpusError, DiskFullError, RunError
from trainable.corpus.corpus import CorpusConfig, TrialPair
from trainable.corpus.known_lists import (
    content_sha256,
    is_same_file,
    known_list,
    overlap_warnings,
    paths_of,
)
from trainable.corpus.test_list_ledger import Opening, OpeningLedger, PastOpenings, new_opening
from trainable.lists.parsing import parse_trial_list

# The latest; the ledger has them all.
MAX_LISTED_OPENINGS = 5
SELECTION_WARNING = (
    "choosing between models by a test list makes it a validation list: report this result, good "
    "or bad, or take a new test list"
)


def refuse_locked(
    trials: TrialList, corpus: CorpusConfig | None, cache: Path, command: str
) -> None:
    """Refuse to score a test list as an ordinary list.

    Args:
        trials: The list to score.
        corpus: The corpus that the model was trained on; None if unknown.
        cache: The cache folder, which holds this user's ledger.
        command: The command that opens the test list, for the message.

    Raises:
        ConfigError: The list is the corpus's test list, or was opened as one before, or is a
            known list that results are published on.
    """
    if (why := _why_locked(trials, corpus, cache)) is not None:
        raise ConfigError(
            f"{trials.file} is {why}: a test list is opened once, at the end, for the model that "
            f"was chosen without it; if this is that model, open and record it with: {command}"
        )


def _why_locked(trials: TrialList, corpus: CorpusConfig | None, cache: Path) -> str | None:
    if corpus is not None and _is_test_list(trials, corpus):
        return "the test list of the corpus that the model was trained on"
    past = OpeningLedger(trials.file, cache).past(trials.sha256).openings
    if past:
        times = counted(len(past), "time")
        return f"a test list, opened {times} before (last {utc(past[-1].time_s)} UTC)"
    num_targets = sum(pair.is_target for pair in trials.pairs)
    known = known_list(paths_of(trials.pairs), len(trials.pairs), num_targets)
    return None if known is None else f"{known.name}, which results are published on"


def _is_test_list(trials: TrialList, corpus: CorpusConfig) -> bool:
    """Return whether a list has the pairs of a corpus's test list; False if that is missing."""
    other = corpus.test_list
    if other is None:
        return False
    # First, as it needs no parsing of the other file.
    if is_same_file(trials.file, other):
        return True
    if not other.is_file():
        return False
    # By content: a copy of the test list under another name is locked too.
    pairs = _readable_pairs(other, corpus.test_dir or other.parent, corpus)
    return pairs is not None and content_sha256(pairs) == trials.sha256


def _readable_pairs(file: Path, root: Path, corpus: CorpusConfig) -> Sequence[TrialPair] | None:
    """Return the pairs of a list of a corpus, None if it has faults; no file is looked up."""
    faults: list[str] = []
    read_as = corpus.list_rules.read_as
    pairs = parse_trial_list(file, root, faults, check_files=False, read_as=read_as)
    return None if faults else pairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinalTest:
    """A recorded opening of a test list.

    Attributes:
        opening: This opening.
        past: The earlier openings.
        ledger: The ledger that records it.
        files: The files that contain the record.
        warnings: Warnings to print with the results.
    """

    opening: Opening
    past: PastOpenings
    ledger: OpeningLedger
    files: tuple[Path, ...]
    warnings: tuple[str, ...]


def open_test_list(
    source: ModelSource, trials: TrialList, cache: Path, print_line: Callable[[str], None]
) -> FinalTest:
    """Record that a test list is opened for a model, before a score is computed.

    Args:
        source: The model.
        trials: The test list.
        cache: The cache folder.
        print_line: Prints a line; called if the search's journal cannot be written.

    Raises:
        RunError: The opening cannot be recorded, or the search still runs and may find a better
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
    # Both records are written before a score exists: nobody can look first and record later.
    with _journal_of(source, print_line) as journal:
        past, files = ledger.record(opening)
        if journal is not None and source.trial is not None:
            journal.append(
                FinalTestOpened(
                    opening=opening.id,
                    trial=source.trial,
                    epoch=source.loaded.epoch,
                    path=opening.list_file,
                    list_sha256=trials.sha256,
                    num_pairs=len(trials.pairs),
                    model_sha256=opening.model_sha256,
                )
            )
    warnings = (
        *_overlaps(source, trials),
        *_ledger_warnings(ledger, past, files),
        SELECTION_WARNING,
    )
    return FinalTest(opening=opening, past=past, ledger=ledger, files=files, warnings=warnings)


@contextmanager
def _journal_of(
    source: ModelSource, print_line: Callable[[str], None]
) -> Iterator[Journal | None]:
    """Yield the journal of the model's search, open for writing; None if there is none."""
    if source.run is None:
        yield None
        return
    path = source.run.folder.path
    with ExitStack() as stack:
        try:
            # Held until the record is written: a search that starts meanwhile would write too.
            stack.enter_context(run_lock(path))
            journal = stack.enter_context(Journal(source.run.folder.journal))
        except DiskFullError:
            raise
        except RunError as error:
            raise RunError(
                f"{error}: while a search runs, its best trial is not known; the test list was "
                "not opened"
            ) from error
        except OSError as error:
            print_line(
                f"{path}: cannot be written ({error.strerror}): only the ledger records the "
                "opening"
            )
            journal = None
        yield journal


def describe_openings(past: PastOpenings) -> str:
    """Describe the earlier openings: how many, when, and for which models."""
    if not past.openings:
        return "the test list was never opened before"
    listed = [
        f"{utc(each.time_s)} UTC by {each.user} for {_model_of(each)}"
        for each in past.openings[-MAX_LISTED_OPENINGS:]
    ]
    earlier = len(past.openings) - len(listed)
    first = f"{counted(earlier, 'earlier opening')}; " if earlier else ""
    times = counted(len(past.openings), "time")
    return f"the test list was opened {times} before: {first}{'; '.join(listed)}"


def _model_of(opening: Opening) -> str:
    if opening.run is not None and opening.trial is not None:
        name = f"trial {opening.trial} of {opening.run}"
    else:
        name = opening.model
    eer_pct = (opening.figures or {}).get("eer_pct")
    return f"{name} (EER {eer_pct:.2f} %)" if isinstance(eer_pct, float) else name


def _overlaps(source: ModelSource, trials: TrialList) -> Sequence[str]:
    """Return warnings about what the validation list and the test list share."""
    try:
        corpus = source.corpus()
    except ConfigError:  # recorded by another version of Veer; the user then named the list
        return ()
    if corpus is None or not corpus.val_list.is_file():
        return ()
    val_pairs = _readable_pairs(corpus.val_list, corpus.val_dir, corpus)
    if val_pairs is None:
        return ()
    if content_sha256(val_pairs) == trials.sha256:
        return (f"this is the validation list of {source.loaded.file}: no test list",)
    try:
        return overlap_warnings(val_pairs, trials.pairs, trials.rules.speaker)
    except CorpusError:  # the rule is of another corpus
        return ()


def _ledger_warnings(
    ledger: OpeningLedger, past: PastOpenings, files: Sequence[Path]
) -> Sequence[str]:
    warnings = [
        f"{path}: cannot be read, and may record another opening" for path in past.unreadable
    ]
    next_to_list = ledger.files[0]
    if next_to_list not in files:
        warnings.append(
            f"{next_to_list} cannot be written: others who share the list will not see this "
            f"opening, which only {files[-1]} records"
        )
    return warnings
