"""A file that gives the speaker of each path, as `speaker: {map: FILE}` names one."""

from collections.abc import Iterable
from pathlib import Path

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError, CorpusError
from trainable.list_formats.list_text import read_lines


def read_speaker_map(file: Path, paths: Iterable[str]) -> dict[str, str]:
    """Read a map from paths to speakers; its lines are 'PATH SPEAKER' or 'SPEAKER PATH'.

    Args:
        file: The map.
        paths: Paths of a list, which tell the column of the paths.

    Raises:
        CorpusError: It cannot be read, a line has not two columns, or a path has two speakers.
    """
    try:
        lines = [text.split() for text in read_lines(file)]
    except ConfigError as error:
        text = str(error).replace("such list", "such map of speakers")
        raise CorpusError([f"speaker: {text}"]) from error
    if wrong := [(n, each) for n, each in enumerate(lines, 1) if len(each) not in (0, 2)]:
        number, fields = wrong[0]
        got = short_repr(" ".join(fields))
        raise CorpusError([f"speaker: {file}:{number}: must be 'PATH SPEAKER', got {got}"])
    rows = [(n, each[0], each[1]) for n, each in enumerate(lines, 1) if each]
    known = set(paths)
    is_second = sum(row[2] in known for row in rows) > sum(row[1] in known for row in rows)
    speaker_of: dict[str, str] = {}
    for number, first, second in rows:
        path, speaker = (second, first) if is_second else (first, second)
        if speaker_of.setdefault(path, speaker) != speaker:
            raise CorpusError(
                [
                    f"speaker: {file}:{number}: a file has one speaker, got {speaker} and "
                    f"{speaker_of[path]} for {path}"
                ]
            )
    return speaker_of
