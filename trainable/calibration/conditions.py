"""Error rates by condition: pairs grouped by what a table says of their utterances.

Shapes: U utterances, P trial pairs.
"""

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError
from trainable.lists.pair_index import PairIndex
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.intervals import MIN_SPEAKERS, Interval
from trainable.verification.metrics import Floats, equal_error_rate

DURATION = "duration"
# Bands of the shorter utterance of a pair, seconds.
BANDS_S = (2.0, 4.0, 6.0, 10.0)
# A column with more values, such as a session, parts pairs only into equal and different ones.
MAX_VALUES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionEER:
    """The EER of the pairs of one condition.

    Attributes:
        column: What parts the pairs.
        condition: The pairs' values, such as `f`, or `f and m`.
        num_target: Pairs of one speaker.
        num_nontarget: Pairs of two.
        eer_pct: The EER, percent; None where one kind of pair is missing.
        interval: Its 95 % interval; None where the speakers or errors are too few, or unknown.
    """

    column: str
    condition: str
    num_target: int
    num_nontarget: int
    eer_pct: float | None
    interval: Interval | None


def read_conditions(file: Path, paths: Sequence[str]) -> dict[str, list[str]]:
    """Read a table with a row an utterance: CSV, or with tabs; the first column is the path.

    Args:
        file: The table; its first line names the columns.
        paths: (U,) the utterances.

    Returns:
        The values of each column, (U,).

    Raises:
        ConfigError: It cannot be read, a row has another number of columns, or an utterance has
            no row.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    rows = list(csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ","))
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ConfigError(
            f"{file}:1: must name the columns, such as 'path,sex,session', and have a row an "
            f"utterance; got {short_repr(lines[0] if lines else '')}"
        )
    heading, value_of = rows[0], dict[str, list[str]]()
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(heading):
            raise ConfigError(
                f"{file}:{number}: must have {len(heading)} columns as the first line, got "
                f"{len(row)}"
            )
        value_of[row[0]] = row[1:]
    if missing := [path for path in paths if path not in value_of]:
        raise ConfigError(
            f"{file}: has no row for {missing[0]}, the first of {len(missing):,} utterances of "
            f"the list without one; its first column ({heading[0]!r}) must hold the list's paths"
        )
    columns = zip(*(value_of[path] for path in paths), strict=True)
    return dict(zip(heading[1:], map(list, columns), strict=True))


def duration_bands(duration_s_U: Floats, index: PairIndex) -> dict[str, NDArray[np.bool_]]:
    """Return the pairs of each band of the shorter utterance's duration, by its name."""
    shorter_P = np.minimum(duration_s_U[index.a], duration_s_U[index.b])
    band_P = np.searchsorted(BANDS_S, shorter_P, side="right")
    ends = (0, *BANDS_S, None)
    names = [
        f"{low:g} s and longer" if high is None else f"{low:g} to {high:g} s"
        for low, high in itertools.pairwise(ends)
    ]
    return {name: band_P == n for n, name in enumerate(names) if (band_P == n).any()}


def value_groups(values: Sequence[str], index: PairIndex) -> dict[str, NDArray[np.bool_]]:
    """Return the pairs of each value, or of two, by its name."""
    names, number = np.unique(np.array(values), return_inverse=True)
    a, b = number[index.a], number[index.b]
    if len(names) > MAX_VALUES:
        return {"same": a == b, "different": a != b}
    low, high = np.minimum(a, b), np.maximum(a, b)
    groups = sorted(set(zip(low.tolist(), high.tolist(), strict=True)))
    return {
        str(names[i]) if i == j else f"{names[i]} and {names[j]}": (low == i) & (high == j)
        for i, j in groups
    }


def condition_eers(
    column: str,
    groups: Mapping[str, NDArray[np.bool_]],
    scores: Floats,
    is_target: NDArray[np.bool_],
    pairs: SpeakerPairs | None,
) -> Iterator[ConditionEER]:
    """Yield the EER of each group of pairs.

    Args:
        column: What parts the pairs.
        groups: (P,) the pairs of each condition.
        scores: (P,) scores.
        is_target: (P,) whether both utterances are of one speaker.
        pairs: The pairs with their speakers; None if they are unknown.
    """
    for condition, chosen in groups.items():
        own, target = scores[chosen], is_target[chosen]
        num_target, num_other = int(target.sum()), int((~target).sum())
        eer_pct, interval = None, None
        if num_target and num_other:
            eer_pct = equal_error_rate(own, target)
            if pairs is not None:
                # Numbered anew: only the speakers of these pairs are drawn.
                part = SpeakerPairs.of(
                    pairs.speaker_a[chosen].astype(str).tolist(),
                    pairs.speaker_b[chosen].astype(str).tolist(),
                    target,
                )
                if part.num_speakers >= MIN_SPEAKERS:
                    bootstrap = SpeakerBootstrap(part)
                    interval = bootstrap.interval(eer_pct, bootstrap.eer_pct(own))
        yield ConditionEER(
            column=column,
            condition=condition,
            num_target=num_target,
            num_nontarget=num_other,
            eer_pct=eer_pct,
            interval=interval,
        )
