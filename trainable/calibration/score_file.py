"""Scores of trial pairs as text: `SCORE PATH_A PATH_B`, or `PATH_A PATH_B SCORE`."""

import math
from pathlib import Path

import numpy as np

from spaces.files.atomic import write_text_atomically
from spaces.files.complaints import short_repr
from spaces.files.errors import CorpusError
from trainable.list_formats.list_text import read_lines
from trainable.lists.pair_index import PairIndex
from trainable.verification.metrics import Floats

FORMS = "'SCORE PATH_A PATH_B' or 'PATH_A PATH_B SCORE'"


def write_score_file(file: Path, index: PairIndex, scores: Floats) -> None:
    """Write a line a pair, in the order of the list.

    Raises:
        DiskFullError: There is no room.
        OSError: The folder cannot be written.
    """
    rows = zip(scores, index.a, index.b, strict=True)
    lines = (f"{score:.9g} {index.paths[a]} {index.paths[b]}\n" for score, a, b in rows)
    write_text_atomically(file, "".join(lines))


def read_score_file(file: Path, index: PairIndex) -> Floats:
    """Return the scores of the pairs of a list, (P,), in its order.

    Lines of other pairs are passed over; further columns, such as a label, too.

    Raises:
        ConfigError: The file cannot be read.
        CorpusError: A line has another form, or a pair has no score.
    """
    score_of: dict[tuple[str, str], float] = {}
    faults: list[str] = []
    for number, line in enumerate(read_lines(file), 1):
        found = _parsed_score(line.split())
        if found is None:
            faults.append(f"{file}:{number}: must be {FORMS}, got {short_repr(line)}")
        else:
            score_of[found[1], found[2]] = found[0]
    scores = np.empty(index.a.size)
    for place, (a, b) in enumerate(zip(index.a, index.b, strict=True)):
        pair = index.paths[a], index.paths[b]
        # Scores are symmetric, and some tools write the sides the other way round.
        score = score_of.get(pair, score_of.get(pair[::-1]))
        if score is None:
            faults.append(f"{file}: has no score for the pair {pair[0]} {pair[1]}")
        else:
            scores[place] = score
    if faults:
        raise CorpusError(faults)
    return scores


def _parsed_score(fields: list[str]) -> tuple[float, str, str] | None:
    if len(fields) < 3:
        return None
    for score, a, b in ((0, 1, 2), (2, 0, 1)):
        try:
            value = float(fields[score])
        except ValueError:
            continue
        if math.isfinite(value):
            return value, fields[a], fields[b]
    return None
