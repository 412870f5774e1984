"""The data of a run by hashes: lists, stores and teacher, recorded in its journal and compared.

A resumed run must find the same data as the journal records. A validation list that is, or
was used as, a test list is reported.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.search_records import CorpusRecord, TeacherRecord
from spaces.files.digest import file_sha256
from spaces.files.errors import RunError
from trainable.corpus.corpus import CorpusConfig
from trainable.corpus.known_lists import content_sha256, known_list_warning
from trainable.corpus.test_list_ledger import OpeningLedger
from trainable.features.training_data import TrainingData
from trainable.foreign_models.graph import teacher_digest
from trainable.lists.pair_checks import IndexedList, pair_warnings, speaker_warnings
from trainable.lists.parsing import TrialPair
from trainable.verification.score_evaluator import validation_index, validation_speakers

# Digits of a SHA-256 in messages: enough to distinguish two files.
SHA256_DIGITS = 12
# Stores of targets are recorded under names that begin with it.
TARGETS = "targets of"


def list_hashes(config: CorpusConfig) -> dict[str, dict[str, Any]]:
    """Return file and SHA-256 of the training list and of the validation list, by role.

    A missing list is left out: reading the corpus reports it.
    """
    lists = {"train": config.train_list, "val": config.val_list}
    return {
        role: {"file": str(file), "sha256": file_sha256(file)}
        for role, file in lists.items()
        if file.is_file()
    }


def corpus_facts(config: CorpusConfig, data: TrainingData) -> dict[str, Any]:
    """Return the fields of the `corpus` record.

    These are `lists`, with hashes and numbers of utterances, speakers and trial pairs, and
    `stores`, the keys of the stores of log-mels by name.
    """
    lists, speakers = list_hashes(config), validation_speakers(data)
    lists["train"] |= {
        "num_utterances": len(data.train_paths),
        "num_speakers": data.num_speakers,
    }
    lists["val"] |= {
        "num_utterances": len(data.val_paths),
        **({} if speakers.rule is None else {"num_speakers": speakers.num_speakers}),
        "num_trial_pairs": len(data.val_is_target),
    }
    # The order in which the stores are opened: training, its augmented copies, validation.
    train, *copies, val = (store.plan.key for store in data.features.stores)
    of_copies = {f"copy {number}": key for number, key in enumerate(copies, start=1)}
    return {"lists": lists, "stores": {"train": train, **of_copies, "val": val}}


def note_corpus(facts: Mapping[str, Any], journal: Journal, records: Sequence[Record]) -> None:
    """Record the data of the trials, unless the journal has it already."""
    earlier = latest(records, CorpusRecord)
    # A resumed run may have stores that its record lacks, such as the teacher's targets.
    if earlier is None or not facts["stores"].keys() <= earlier.stores.keys():
        journal.append(CorpusRecord(**facts))


def targets_device(records: Sequence[Record]) -> str | None:
    """Return the kind of device that computed a run's targets; None if it has none yet."""
    known = latest(records, CorpusRecord)
    if known is None or not any(name.startswith(TARGETS) for name in known.stores):
        return None
    return known.targets_device or "cpu"


def require_same_lists(config: CorpusConfig, records: Sequence[Record]) -> None:
    """Refuse lists that are not those that the run began with; no audio file is read.

    Raises:
        RunError: A list differs; with both hashes, and the fix.
    """
    earlier = latest(records, CorpusRecord)
    if earlier is None:
        return
    for role, now in list_hashes(config).items():
        then = earlier.lists.get(role)
        # By content: a list may be moved or renamed between two runs.
        if then is not None and then.sha256 != now["sha256"]:
            raise RunError(
                f"{now['file']} is not the {role} list that this run began with (SHA-256 "
                f"{then.sha256[:SHA256_DIGITS]}, now {now['sha256'][:SHA256_DIGITS]}); restore "
                "it, or begin another run"
            )


def require_same_stores(stores: Mapping[str, str], records: Sequence[Record]) -> None:
    """Refuse audio, augmentation or front end that are not those that the run began with.

    Raises:
        RunError: A store differs; with both keys, and the fix.
    """
    if changed := changed_stores(stores, records):
        name, (then, now) = next(iter(changed.items()))
        raise RunError(
            f"the store {name!r} is not made from what this run began with (key "
            f"{then[:SHA256_DIGITS]}, now {now[:SHA256_DIGITS]}): audio files have another size "
            "or time of change, or Veer makes them in another way; restore them with their times, "
            "or begin another run"
        )


def changed_stores(
    stores: Mapping[str, str], records: Sequence[Record]
) -> dict[str, tuple[str, str]]:
    """Return the recorded key and the key now of each store whose key changed, by name."""
    earlier = latest(records, CorpusRecord)
    then = {} if earlier is None else earlier.stores
    return {
        name: (then[name], key)
        for name, key in stores.items()
        if name in then and then[name] != key
    }


def require_same_teacher(file: Path, records: Sequence[Record]) -> str:
    """Return the SHA-256 of the teacher's file, which must be the one that the run began with.

    Raises:
        RunError: The file differs.
    """
    sha256 = teacher_digest(file)
    earlier = latest(records, TeacherRecord)
    if earlier is not None and earlier.sha256 != sha256:
        raise RunError(
            f"{file} is not the teacher that this run began with (SHA-256 "
            f"{earlier.sha256[:SHA256_DIGITS]}, now {sha256[:SHA256_DIGITS]}); restore it, or "
            "begin another run"
        )
    return sha256


def validation_list_warnings(config: CorpusConfig, data: TrainingData, cache: Path) -> list[str]:
    """Return warnings of a search's validation list: of its pairs, or that it is a test list.

    The test list of the corpus is not read: a search uses only the validation list.

    Args:
        config: The corpus.
        data: The data of the corpus, with its validation list.
        cache: The cache folder, which holds this user's ledger of opened test lists.
    """
    index = validation_index(data)
    # The lists were checked, so every line is a pair.
    lines = np.arange(1, len(data.val_is_target) + 1)
    listed = IndexedList(
        file=config.val_list, index=index, lines=lines, same_file=np.arange(len(data.val_paths))
    )
    warnings = [
        *pair_warnings(listed), *speaker_warnings(config.val_list, validation_speakers(data))
    ]
    ledger = OpeningLedger(config.val_list, cache)
    # Hashing half a million trial pairs takes seconds: not done where nothing was ever opened.
    if not ledger.is_empty and (past := ledger.past(content_sha256(_pairs_of(data))).openings):
        warnings.append(
            f"the validation list was opened as a test list ({len(past)}x by `veer evaluate "
            "--final`): it tests no student that this search chooses"
        )
    num_targets = int(data.val_is_target.sum())
    known = known_list_warning(data.val_paths, len(data.val_is_target), num_targets)
    return [*warnings, *([known] if known else [])]


def _pairs_of(data: TrainingData) -> list[TrialPair]:
    """Return the trial pairs of the validation list."""
    return [
        TrialPair(is_target=bool(label), path_a=data.val_paths[a], path_b=data.val_paths[b])
        for a, b, label in zip(data.val_a, data.val_b, data.val_is_target, strict=True)
    ]
