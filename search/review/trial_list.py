"""A trial list that was read, of audio or of names alone."""

from dataclasses import dataclass, field
from pathlib import Path

from spaces.files.errors import ConfigError, CorpusError
from trainable.corpus.corpus import CorpusConfig, TrialPair, read_trial_list
from trainable.corpus.known_lists import content_sha256, is_same_file
from trainable.lists.listed_pairs import ListRules, class_faults
from trainable.lists.parsing import parse_trial_list


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialList:
    """A trial list that was read.

    Attributes:
        file: The file of the list.
        root: Folder that the paths in it are relative to.
        pairs: Its trial pairs.
        sha256: SHA-256 of its content.
        rules: How it was read.
    """

    file: Path
    root: Path
    pairs: tuple[TrialPair, ...]
    sha256: str
    rules: ListRules = field(default_factory=ListRules)


def read_list(
    file: Path, root: Path, corpus: CorpusConfig | None = None, rules: ListRules | None = None
) -> TrialList:
    """Read and check a trial list; no audio is opened.

    Args:
        file: The list.
        root: Folder that its paths are relative to.
        corpus: A corpus that says how labels and speakers are read if the list is one of its.
        rules: How they are read in any case; None for what the corpus says.

    Raises:
        CorpusError: The list has faults; the message names all of them.
    """
    own = [] if corpus is None else [corpus.val_list, corpus.test_list]
    is_own = any(each is not None and is_same_file(file, each) for each in own)
    rules = rules or (corpus.list_rules if corpus is not None and is_own else ListRules())
    pairs = read_trial_list(file, root, rules)
    return TrialList(file=file, root=root, pairs=pairs, sha256=content_sha256(pairs), rules=rules)


def read_list_alone(file: Path, rules: ListRules | None = None) -> TrialList:
    """Read a trial list whose audio need not be there.

    Raises:
        CorpusError: A line has a fault, or the list has no pairs of one kind.
    """
    rules, faults = rules or ListRules(), list[str]()
    pairs = parse_trial_list(
        file, file.parent, faults, check_files=False, read_as=rules.read_as
    )
    faults = faults or class_faults(pairs, file, zero_is_target=rules.zero_is_target)
    if faults:
        raise CorpusError(faults)
    return TrialList(
        file=file, root=file.parent, pairs=pairs, sha256=content_sha256(pairs), rules=rules
    )


def final_list_of(
    corpus: CorpusConfig | None, source_name: str
) -> tuple[Path, Path, CorpusConfig]:
    """Return a corpus's test list, the folder that its paths are relative to, and the corpus.

    Raises:
        ConfigError: There is no corpus, or it has no test list.
    """
    if corpus is None or corpus.test_list is None or corpus.test_dir is None:
        lacks = "has no record of its corpus" if corpus is None else "has a corpus without one"
        raise ConfigError(
            f"--final needs a test list, and {source_name} {lacks}: give --pairs and --root, or a "
            "--corpus whose corpus.yaml has test_dir and test_list"
        )
    return corpus.test_list, corpus.test_dir, corpus
