"""The files that a process opens, and a corpus whose test list nobody should open."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spaces.files.yaml_file import read_yaml, write_yaml

_WATCHED: list[list[str]] = []


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED and isinstance(arguments[0], str | bytes):
        name = arguments[0]
        _WATCHED[-1].append(name.decode() if isinstance(name, bytes) else name)


sys.addaudithook(_note_opened)  # which cannot be taken off again


@contextmanager
def files_opened() -> Iterator[list[str]]:
    """The files that this process opens meanwhile."""
    _WATCHED.append([])
    try:
        yield _WATCHED[-1]
    finally:
        _WATCHED.pop()


def with_test_list(corpus: Path, out: Path, *, is_there: bool) -> Path:
    """The corpus with a test list of two pairs, whose audio no one could decode."""
    data = read_yaml(corpus).data
    named = {key: str(corpus.parent / data[key]) for key in data}
    named |= {"test_dir": str(out / "test"), "test_list": str(out / "test.txt")}
    if is_there:
        (out / "test" / "id1").mkdir(parents=True)
        for name in "ab":
            (out / "test" / "id1" / f"{name}.wav").write_text("no audio")
        (out / "test.txt").write_text("1 id1/a.wav id1/b.wav\n0 id1/a.wav id1/b.wav\n")
    write_yaml(out / "with_test.yaml", named)
    return out / "with_test.yaml"
