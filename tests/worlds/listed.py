"""A folder with three files of two speakers, and lists of them in other formats."""

import shlex
from pathlib import Path

from trainable.list_formats.converting import convert_list
from trainable.list_formats.list_text import new_name
from trainable.lists.parsing import TrialPair, Utterance, parse_train_list, parse_trial_list

A, B, C = "a/1.wav", "a/2.wav", "b/1.wav"
PAIRS = (
    TrialPair(is_target=True, path_a=A, path_b=B),
    TrialPair(is_target=False, path_a=A, path_b=C),
)
UTTERANCES = tuple(Utterance(path=path, speaker=path[0]) for path in (A, B, C))


def make_root(tmp_path: Path) -> Path:
    """Write the files; return their folder."""
    for path in (A, B, C):
        file = tmp_path / "wav" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "wav"


def refused(kind: str, root: Path, text: str) -> str:
    """Return the one fault of a list."""
    file = root.parent / "list.txt"
    file.write_text(text)
    faults: list[str] = []
    found = (parse_train_list if kind == "train" else parse_trial_list)(file, root, faults)
    (fault,) = faults
    assert found == ()
    return fault


def converted(kind: str, root: Path, fault: str) -> tuple[object, ...]:
    """Convert as the command that a message names, and return what the new list holds."""
    veer, data, convert, file, *options = shlex.split(fault.partition(" with: ")[2])
    assert [veer, data, convert] == ["veer", "data", "convert"]
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.pop("--as") == kind
    made = convert_list(
        kind,
        Path(file),
        root=Path(given.pop("--root")),
        wav_scp=root.parent / given.pop("--wav-scp") if "--wav-scp" in given else None,
        encoding=given.pop("--encoding", None),
    )
    assert not given
    new = new_name(Path(file))
    new.write_text("".join(f"{line}\n" for line in made.lines))
    faults: list[str] = []
    parse = parse_train_list if kind == "train" else parse_trial_list
    found = parse(new, root, faults)
    assert faults == []
    return found
