"""The lists of a corpus, made from a folder of speakers: `ROOT/SPEAKER/SESSION/UTTERANCE`.

VoxCeleb names the middle folder after a video, LibriSpeech after a chapter; both are sessions.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spaces.files.atomic import write_text_atomically
from spaces.files.errors import CorpusError, VeerError
from spaces.files.yaml_file import write_yaml
from trainable.list_formats.listed_files import ListedFiles

Layout = Literal["voxceleb", "librispeech"]
# speaker -> session -> paths relative to the root, all sorted
Speakers = Mapping[str, Mapping[str, Sequence[str]]]

_LAYOUT_SUFFIXES: dict[Layout, tuple[str, ...]] = {
    "voxceleb": (".wav", ".flac"),
    "librispeech": (".flac",),
}
CORPUS_FILE = "corpus.yaml"
TRAIN_LIST = "train_list.txt"
VAL_LIST = "veri_val.txt"
TEST_LIST = "veri_test.txt"

# A speaker classifier needs two classes.
MIN_TRAIN_SPEAKERS = 2


class PrepareConfig(BaseModel):
    """How a folder of speakers is split into a corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Layout = Field(description="what the folder looks like")
    num_val_speakers: int = Field(ge=2, description="speakers of the validation list")
    num_test_speakers: int = Field(default=0, ge=0, description="of the test list; 0 for none")
    num_pairs: int = Field(
        default=4000, ge=2, description="trial pairs of each list at most, half of them targets"
    )
    seed: int = Field(default=0, ge=0, description="draws speakers and pairs")
    force: bool = Field(default=False, description="overwrite existing lists")


def prepare_corpus(root: Path, out_dir: Path, config: PrepareConfig) -> Path:
    """Write train, validation and test lists with disjoint speakers, and `corpus.yaml`.

    Half of the trial pairs are targets and half non-targets; no pair occurs twice. The target
    pairs of a speaker are of different sessions if the speaker has several. Every file is written
    atomically, `corpus.yaml` last.

    Args:
        root: Folder of the speakers.
        out_dir: Folder of the written files; created if it is missing.
        config: How to split and draw.

    Returns:
        Path of the `corpus.yaml`.

    Raises:
        VeerError: The lists exist and `force` is not set, or there are too few speakers.
        CorpusError: The folder does not have the layout.
    """
    _refuse_overwriting(out_dir, config)
    speakers = find_speakers(root, config.layout)
    rng = random.Random(config.seed)
    val, test = _draw_split(speakers, config, rng)
    lines = {
        TRAIN_LIST: [
            f"{speaker} {path}"
            for speaker in speakers
            if speaker not in {*val, *test}
            for path in _paths(speakers, [speaker])
        ],
        VAL_LIST: _draw_pairs({name: speakers[name] for name in val}, config.num_pairs, rng),
    }
    if test:
        held_out = {name: speakers[name] for name in test}
        lines[TEST_LIST] = _draw_pairs(held_out, config.num_pairs, rng)
    out_dir.mkdir(parents=True, exist_ok=True)
    if not test:
        # The test list of an earlier split would hold speakers that are now in training.
        (out_dir / TEST_LIST).unlink(missing_ok=True)
    for name, content in lines.items():
        write_text_atomically(out_dir / name, "\n".join(content) + "\n")
    return _write_config(root, out_dir, has_test=bool(test))


def find_speakers(root: Path, layout: Layout) -> Speakers:
    """Find the audio files of a folder tree, by speaker and session.

    Raises:
        CorpusError: There are no audio files, or m4a files without a WAV or FLAC next to them, or
            names with white space, which the format of the lists cannot hold, or links that
            lead out of the folder, which lists may not follow.
    """
    if not root.is_dir():
        raise CorpusError([f"{root}: there is no such folder"])
    suffixes = _LAYOUT_SUFFIXES[layout]
    files = sorted(
        path
        for path in root.glob("*/*/*")
        # Files with a leading dot are no audio: macOS writes `._00001.wav` next to each file.
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )
    found = {path.with_suffix("") for path in files}
    unconverted = [p for p in root.glob("*/*/*.m4a") if p.with_suffix("") not in found]
    faults = []
    if unconverted:
        faults.append(
            f"{root}: {len(unconverted)} m4a files have no WAV or FLAC next to them, such as "
            f"{min(unconverted)}; convert them first, for example with "
            "ffmpeg -i FILE.m4a -ac 1 -ar 16000 FILE.wav"
        )
    elif not files:
        faults.append(_wrong_layout(root, suffixes))
    paths = [file.relative_to(root).as_posix() for file in files]
    listed = _listable(root, paths, faults)
    if faults:
        raise CorpusError(faults)
    speakers: dict[str, dict[str, list[str]]] = {}
    for path in listed:
        speaker, session, _ = path.split("/")
        speakers.setdefault(speaker, {}).setdefault(session, []).append(path)
    return speakers


def _listable(root: Path, paths: Sequence[str], faults: list[str]) -> list[str]:
    """Return the paths that a list takes, each file once; add faults of the others.

    The rules are those by which lists are read, so that what is written here is taken there.
    """
    looked_up, links = ListedFiles(root), Counter[Path]()
    first: dict[int | None, str] = {}
    listed = []
    for path in paths:
        if len(path.split()) > 1 or not path.isprintable():
            faults.append(
                f"{root / path}: a name in a list must be printable, without white space, got "
                f"{path!r}"
            )
        elif (fault := looked_up.fault(path)) is not None:
            link = looked_up.link_out(path)
            # A linked speaker is one fault, not one for each file.
            if link is None or not links[link]:
                faults.append(f"{root}: {fault}")
            if link is not None:
                links[link] += 1
        else:
            known = first.setdefault(looked_up.identity(path), path)
            if known == path:
                listed.append(path)
            elif known.split("/")[0] != path.split("/")[0]:
                faults.append(f"{root}: {path} and {known} are one file, which has one speaker")
    return listed


def _wrong_layout(root: Path, suffixes: Sequence[str]) -> str:
    """Return the fault of a folder without such files, with a deeper folder that has some."""
    kinds = " or ".join(suffix.removeprefix(".") for suffix in suffixes)
    text = f"{root}: must hold SPEAKER/SESSION/UTTERANCE files ({kinds}), found none"
    deeper = next((path for path in root.glob("*/*/*/*") if path.suffix in suffixes), None)
    if deeper is None:
        return text
    return f"{text}; there is {deeper}: pass a folder further in, such as {deeper.parents[2]}"


def _refuse_overwriting(out_dir: Path, config: PrepareConfig) -> None:
    names = (TRAIN_LIST, VAL_LIST, TEST_LIST, CORPUS_FILE)
    existing = [name for name in names if (out_dir / name).exists()]
    if existing and not config.force:
        raise VeerError(
            f"{out_dir} already has {', '.join(existing)}; write elsewhere or pass --force to "
            "overwrite"
        )


def _draw_split(
    speakers: Speakers, config: PrepareConfig, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Draw validation and test speakers, both sorted, from those with two files or more."""
    # A speaker with one file gives no target pair, so it can only train.
    num_val, num_test = config.num_val_speakers, config.num_test_speakers
    usable = [name for name in speakers if len(_paths(speakers, [name])) > 1]
    wanted = num_val + num_test
    if num_test == 1 or len(usable) < wanted or len(speakers) < wanted + MIN_TRAIN_SPEAKERS:
        raise VeerError(
            f"there must be at least {MIN_TRAIN_SPEAKERS} speakers to train, 2 to validate and "
            f"none or 2 to test, the last two with two files each; got {len(speakers)} speakers, "
            f"{len(usable)} with two files, for {num_val} to validate and {num_test} to test"
        )
    drawn = rng.sample(usable, wanted)
    return sorted(drawn[:num_val]), sorted(drawn[num_val:])


def _draw_pairs(speakers: Speakers, num_pairs: int, rng: random.Random) -> list[str]:
    """Draw shuffled lines of a trial list, half targets and half non-targets."""
    names = list(speakers)
    targets = _draw_targets(speakers, num_pairs // 2, rng)
    paths = {name: _paths(speakers, [name]) for name in names}
    num_possible = sum(len(paths[a]) * len(paths[b]) for a, b in combinations(names, 2))
    nontargets: set[tuple[str, str]] = set()
    num_each = min(len(targets), num_possible)
    while len(nontargets) < num_each:
        # Sorted, so that a pair and its reverse count as one.
        a, b = sorted(rng.sample(names, 2))
        nontargets.add((rng.choice(paths[a]), rng.choice(paths[b])))
    lines = [f"1 {a} {b}" for a, b in rng.sample(targets, num_each)]
    # Sorted, since the order of a set of texts differs from process to process.
    lines += [f"0 {a} {b}" for a, b in sorted(nontargets)]
    rng.shuffle(lines)
    return lines


def _draw_targets(
    speakers: Speakers, num_targets: int, rng: random.Random
) -> list[tuple[str, str]]:
    """Draw target pairs, spread over the speakers as evenly as their files allow."""
    possible = {name: _target_pairs(sessions) for name, sessions in speakers.items()}
    left = num_targets
    drawn: list[tuple[str, str]] = []
    # Speakers with few pairs first: what they lack is then shared among the speakers after them.
    by_size = sorted(possible, key=lambda name: (len(possible[name]), name))
    for done, name in enumerate(by_size):
        # Rounded up, so that the shares reach the wanted number.
        share = min(len(possible[name]), -(-left // (len(by_size) - done)))
        drawn += rng.sample(possible[name], share)
        left -= share
    return drawn


def _target_pairs(sessions: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the possible pairs of one speaker: across sessions if there are several."""
    # Within a session, room and microphone are the same, which makes a pair too easy.
    session_of = {path: session for session, paths in sessions.items() for path in paths}
    pairs = list(combinations(session_of, 2))
    across = [(a, b) for a, b in pairs if session_of[a] != session_of[b]]
    return across or pairs


def _paths(speakers: Speakers, names: Iterable[str]) -> list[str]:
    return [path for name in names for paths in speakers[name].values() for path in paths]


def _write_config(root: Path, out_dir: Path, *, has_test: bool) -> Path:
    # A relative path to audio below the folder itself lets the folder be moved as a whole.
    inside = root.resolve().is_relative_to(out_dir.resolve())
    base = root.resolve().relative_to(out_dir.resolve()) if inside else root.resolve()
    data: dict[str, str] = {"train_dir": str(base), "train_list": TRAIN_LIST}
    data |= {"val_dir": str(base), "val_list": VAL_LIST}
    if has_test:
        data |= {"test_dir": str(base), "test_list": TEST_LIST}
    write_yaml(out_dir / CORPUS_FILE, data)
    return out_dir / CORPUS_FILE
