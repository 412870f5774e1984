"""Whatever a list or a folder of sounds holds: entries inside the root, or faults by line."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spaces.files.errors import CorpusError, VeerError
from tests.fuzz.mutation import fuzzed
from trainable.audio.sound_folders import list_sounds
from trainable.corpus.check import check_corpus
from trainable.corpus.corpus import CorpusConfig, read_corpus, read_trial_list
from trainable.corpus.prepare import PrepareConfig, prepare_corpus
from trainable.lists.parsing import parse_train_list, parse_trial_list

# Each leaves the root, on some system or other.
LEAVING = (
    "../secret.wav", "a/../../secret.wav", "/etc/passwd", "//host/share/x.wav", "..", "a/..",
    "..\\secret.wav", "a\\..\\..\\secret.wav", "\\secret.wav", "\\\\host\\share\\x.wav",
    "C:\\secret.wav", "C:/secret.wav", "C:secret.wav", "./../secret.wav", "a//..//../secret.wav",
)  # fmt: skip
# These stay, and name nothing that is there.
ABSENT = (
    "~/secret.wav", "~root", "$HOME/x.wav", "a\x00b.wav", "a/1.wav\x00.txt", "%2e%2e/secret.wav",
    "..\u2024/secret.wav", "\u202e", "x" * 300, "a/" * 3000 + "x.wav", ".", "./", "a", "\ufeff",
    "file:///etc/passwd", "-rf", "|cat", "\x1b[2J", "\u2025/x.wav",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    make_corpus(folder, num_train_speakers=2, num_val_speakers=2, num_utterances=2)
    shutil.copyfile(folder / "val" / "id00002" / "session0" / "00001.wav", folder / "secret.wav")
    return folder


def config_of(root: Path) -> CorpusConfig:
    return CorpusConfig(
        train_dir=root / "train",
        train_list=root / "fuzzed.txt",
        val_dir=root / "val",
        val_list=root / "veri_val.txt",
        min_duration_s=0.1,
    )


@pytest.mark.parametrize("entry", [*LEAVING, *ABSENT])
def test_no_entry_of_a_train_list_leaves_the_root(root: Path, entry: str) -> None:
    (root / "fuzzed.txt").write_text(f"id00000 {entry}\n", encoding="utf-8")
    faults: list[str] = []
    assert parse_train_list(root / "fuzzed.txt", root / "train", faults) == ()
    assert faults[0].startswith(f"{root}/fuzzed.txt:1: ")
    if entry in LEAVING:
        assert "must stay inside" in faults[0]


@pytest.mark.parametrize("entry", [*LEAVING, *ABSENT])
def test_no_entry_of_a_trial_list_leaves_the_root(root: Path, entry: str) -> None:
    (root / "fuzzed.txt").write_text(
        f"1 id00002/session0/00001.wav {entry}\n0 {entry} id00003/session0/00001.wav\n",
        encoding="utf-8",
    )
    # A fault for each line, or one for both.
    both = r"fuzzed\.txt:1: .*(\n.*fuzzed\.txt:2: |\(2 such lines\))"
    with pytest.raises(CorpusError, match=both) as caught:
        read_trial_list(root / "fuzzed.txt", root / "val")
    if entry in LEAVING:
        assert "must stay inside" in caught.value.faults[0]


PATHS = st.sampled_from(
    [*LEAVING, *ABSENT, *(f"id0000{n}/session{m}/00001.wav" for n in range(4) for m in range(2))]
)
WORDS = st.sampled_from(["0", "1", "2", "id00000", "id00001", "#", ""])
FIELDS = PATHS | WORDS | st.text(max_size=8)
SPACES = st.sampled_from([" ", " ", " ", "  ", "\t", "\xa0", "\u3000", "\x0b"])
ENDS = st.sampled_from(["\n"] * 6 + ["\r\n", "\r", "\x85", "\u2028", "\n\n", "\x00\n", ""])


@st.composite
def lists(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(["", "", "\ufeff"]))
    for _ in range(draw(st.integers(0, 6))):
        fields = draw(st.lists(FIELDS, max_size=4))
        text += draw(SPACES).join(fields) + draw(ENDS)
    return text.encode(draw(st.sampled_from(["utf-8"] * 6 + ["utf-16", "latin-1"])), "replace")


CONTENTS = lists() | st.binary(max_size=200)


@fuzzed(150)
@given(content=CONTENTS)
@example(content=b"0 |\n")
def test_entries_of_lists_lie_inside_the_root(root: Path, content: bytes) -> None:
    file = root / "fuzzed.txt"
    file.write_bytes(content)
    faults: list[str] = []
    entries = parse_train_list(file, root / "train", faults)
    pairs = parse_trial_list(file, root / "val", faults)
    found = [root / "train" / entry.path for entry in entries]
    found += [root / "val" / path for pair in pairs for path in (pair.path_a, pair.path_b)]
    for path in found:
        assert path.resolve().is_relative_to(root / path.relative_to(root).parts[0])
        assert path.is_file()
    assert all(fault.startswith(str(file)) for fault in faults)


@fuzzed(60)
@given(content=CONTENTS)
def test_corpora_are_read_or_refused_by_name(root: Path, content: bytes) -> None:
    (root / "fuzzed.txt").write_bytes(content)
    refusals = []
    for read in (read_corpus, check_corpus):
        try:
            read(config_of(root))
        except CorpusError as error:
            refusals += error.faults
    assert all(str(root) in refusal for refusal in refusals)


def test_a_very_long_line_costs_little(root: Path) -> None:
    (root / "fuzzed.txt").write_bytes(b"x" * 5_000_000 + b" a\n" + b"a " * 1_000_000)
    faults: list[str] = []
    before_s = time.process_time()
    assert parse_train_list(root / "fuzzed.txt", root / "train", faults) == ()
    assert time.process_time() - before_s < 2, "it takes 0.05 s"
    assert len(faults) == 2
    assert all(len(fault) < 1000 + len(str(root)) for fault in faults)


NAMES = st.text(st.characters(exclude_characters="/\x00", codec="utf-8"), max_size=20)
SOUNDS = st.sampled_from(["a.wav", "b.FLAC", ".x.wav", "\x1b[2J.wav", "[red].wav", "\n.wav"])


@fuzzed(50)
@given(
    files=st.dictionaries(
        SOUNDS | NAMES.filter(lambda name: name not in ("", ".", "..")),
        st.sampled_from(["audio", "cut", "folder", "loop", "dangling"]) | st.binary(max_size=60),
        max_size=4,
    )
)
def test_folders_of_sounds(root: Path, files: dict[str, Any]) -> None:
    folder = root / "sounds"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    audio = (root / "secret.wav").read_bytes()
    for name, kind in files.items():
        file = folder / name
        if len(name.encode()) > 255 or file.exists():
            continue
        match kind:
            case "audio" | "cut":
                file.write_bytes(audio if kind == "audio" else audio[:100])
            case "folder":
                file.mkdir()
            case "loop" | "dangling":
                file.symlink_to(folder if kind == "loop" else folder / "gone")
            case bytes():
                file.write_bytes(kind)
    refusals = []
    try:
        found = list_sounds("augmentation.musan_dir", folder)
        assert all(sound.num_samples > 0 for sound in found.files)
    except VeerError as error:
        refusals.append(str(error))
    try:
        settings = PrepareConfig(layout="voxceleb", num_val_speakers=2, num_pairs=2)
        prepare_corpus(folder, root / "prepared", settings)
    except VeerError as error:
        refusals.append(str(error))
    assert all(refusal for refusal in refusals)
