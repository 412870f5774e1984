"""The labels of trial lists of all kinds: which words and numbers stand for the same speaker."""

# The label of a target pair, and that of a non-target pair that it comes with.
_LABEL_PAIRS = (
    ("1", "0"), ("1", "-1"), ("1.0", "0.0"), ("1.0", "-1.0"), ("+1", "-1"),
    ("target", "nontarget"), ("target", "non-target"), ("target", "non_target"),
    ("target", "impostor"), ("target", "imposter"), ("tgt", "non"), ("tgt", "imp"),
    ("tar", "non"), ("same", "different"), ("same", "diff"), ("true", "false"), ("t", "f"),
    ("yes", "no"), ("y", "n"), ("positive", "negative"), ("pos", "neg"), ("match", "nonmatch"),
    ("match", "mismatch"), ("genuine", "impostor"), ("genuine", "imposter"),
    ("client", "impostor"),
)  # fmt: skip
_TARGETS = frozenset(target for target, _ in _LABEL_PAIRS)
_OTHERS = frozenset(other for _, other in _LABEL_PAIRS)


def is_label(field: str) -> bool:
    """Return whether a column is a label by its look."""
    return field.lower() in _TARGETS or field.lower() in _OTHERS


def is_target_label(field: str) -> bool | None:
    """Return whether a label stands for the same speaker, None if it is not known."""
    label = field.lower()
    return True if label in _TARGETS else False if label in _OTHERS else None
