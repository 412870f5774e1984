"""Trial lists that a command scores: read, checked, and refused where they are test lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from results.terminal.quoting import veer_command
from search.cli.options import permission_flag
from spaces.files.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from search.review.model_source import ModelSource
    from search.review.trial_list import TrialList
    from trainable.corpus.corpus import CorpusConfig
    from trainable.lists.listed_pairs import ListRules

BY_CORPUS = "labels and speaker of a corpus.yaml hold for --pairs if it is given by --corpus"


def unlocked_list(
    source: ModelSource | None, trials: Path, root: Path, corpus: Path | None
) -> TrialList:
    """Read a trial list that is no test list.

    Args:
        source: The model that is to be scored, whose corpus names its test list.
        trials: The list.
        root: Folder that its paths are relative to.
        corpus: A corpus.yaml that says how the list is read.

    Raises:
        CorpusError: The list has faults.
        ConfigError: It is a test list; the message has the command that opens it.
    """
    from search.review.test_list import refuse_locked
    from search.review.trial_list import read_list
    from trainable.machine.cache_dir import cache_dir

    known = None if source is None else known_corpus(source)
    try:
        chosen = read_list(trials, root, known, rules_of(corpus))
    except CorpusError as error:
        if corpus is None and any("corpus.yaml" in fault for fault in error.faults):
            raise CorpusError([*error.faults, BY_CORPUS]) from error
        raise
    refuse_locked(chosen, known, cache_dir(), _opening_command(source, trials, root))
    return chosen


def _opening_command(source: ModelSource | None, trials: Path, root: Path) -> str:
    if source is None:
        return veer_command("evaluate", Path("MODEL"), "--final")
    number = () if source.trial is None else ("--trial", str(source.trial))
    model = source.loaded.file if source.run is None else source.run.folder.path
    words = ("evaluate", model, *number, "--pairs", trials, "--root", root, "--final")
    return f"{veer_command(*words)}{permission_flag()}"


def rules_of(corpus: Path | None) -> ListRules | None:
    """Return how the file of a corpus reads trial lists; None where none is given."""
    from trainable.corpus.corpus import read_corpus_config

    return None if corpus is None else read_corpus_config(corpus).list_rules


def known_corpus(source: ModelSource) -> CorpusConfig | None:
    """Return the model's corpus; None if unknown or unreadable for this version of Veer."""
    try:
        return source.corpus()
    except ConfigError:
        # The list is still checked against the ledger and the known lists.
        return None
