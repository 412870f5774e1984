from collections.abc import Callable
from pathlib import Path

import pytest

from spaces.files.errors import MAX_SHOWN_FAULTS, ConfigError, CorpusError
from trainable.corpus.corpus import (
    Corpus,
    CorpusConfig,
    TrialPair,
    Utterance,
    read_corpus,
    read_corpus_config,
    read_trial_list,
)
from trainable.list_formats.listed_files import LINK_REMEDY

TRAIN = ["a a/s1/1.wav", "a a/s2/1.wav", "b b/s1/1.wav"]
PAIRS = ["1 y/s1/1.wav y/s2/1.wav", "0 x/s1/1.wav y/s1/1.wav"]
FILES = ["a/s1/1.wav", "a/s2/1.wav", "b/s1/1.wav", "x/s1/1.wav", "y/s1/1.wav", "y/s2/1.wav"]
MORE_FILES = ["x/s2/1.wav", "y/s3/1.wav"]

Make = Callable[..., CorpusConfig]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write lists beside empty audio files: nothing here opens audio."""
    for file in (*FILES, *MORE_FILES):
        (tmp_path / "wav" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "wav" / file).touch()

    def write(
        train: list[str] = TRAIN,
        pairs: list[str] = PAIRS,
        *,
        end: str = "\n",
        shared: bool = False,
    ) -> CorpusConfig:
        (tmp_path / "train.txt").write_bytes("".join(line + end for line in train).encode())
        (tmp_path / "val.txt").write_bytes("".join(line + end for line in pairs).encode())
        return CorpusConfig(
            train_dir=tmp_path / "wav",
            train_list=tmp_path / "train.txt",
            val_dir=tmp_path / "wav",
            val_list=tmp_path / "val.txt",
            allow_shared_speakers=shared,
        )

    return write


def faults_of(config: CorpusConfig) -> tuple[str, ...]:
    with pytest.raises(CorpusError, match=r"train\.txt|val\.txt") as caught:
        read_corpus(config)
    return tuple(
        fault.replace(f"{config.train_list.parent}/", "") for fault in caught.value.faults
    )


def test_lists_become_a_corpus(make: Make) -> None:
    config = make()
    assert read_corpus(config) == Corpus(
        config=config,
        train=(
            Utterance(path="a/s1/1.wav", speaker="a"),
            Utterance(path="a/s2/1.wav", speaker="a"),
            Utterance(path="b/s1/1.wav", speaker="b"),
        ),
        val_pairs=(
            TrialPair(is_target=True, path_a="y/s1/1.wav", path_b="y/s2/1.wav"),
            TrialPair(is_target=False, path_a="x/s1/1.wav", path_b="y/s1/1.wav"),
        ),
        speakers=("a", "b"),
        val_paths=("x/s1/1.wav", "y/s1/1.wav", "y/s2/1.wav"),
    )


def test_every_file_knows_the_line_that_names_it_first(make: Make) -> None:
    config = make()
    audio = read_corpus(config).audio
    assert [entry.path.relative_to(config.train_dir).as_posix() for entry in audio] == FILES
    places = [entry.listed_at.rsplit("/", 1)[1] for entry in audio]
    assert places == ["train.txt:1", "train.txt:2", "train.txt:3", "val.txt:2"] + ["val.txt:1"] * 2


@pytest.mark.parametrize("end", ["\r\n", "  \n", "\t\n"])
def test_windows_and_blank_line_ends_change_nothing(make: Make, end: str) -> None:
    expected = read_corpus(make())
    assert read_corpus(make([*TRAIN, "", " "], [*PAIRS, ""], end=end)) == expected


def test_byte_order_mark_is_no_part_of_the_speaker(make: Make) -> None:
    assert read_corpus(make(["\ufeff" + TRAIN[0], *TRAIN[1:]])).speakers == ("a", "b")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a", "must be 'SPEAKER PATH', got 'a'"),
        ("a b c", "must be 'SPEAKER PATH', got 'a b c'"),
        (
            "",
            "must be lines 'SPEAKER PATH' only, got '': 1 blank line (the first is line 2); write "
            "a list without them with: veer data convert train.txt --as train --root wav",
        ),
        ("a a/none.wav", "there is no audio file wav/a/none.wav"),
        ("a a/s1", "there is no audio file wav/a/s1"),
        ("a /etc/no", "the path must stay inside wav, got '/etc/no'"),
        ("a a/../../x.wav", "the path must stay inside wav, got 'a/../../x.wav'"),
        (
            "c a/s1/1.wav",
            "a file has one speaker, got c for a/s1/1.wav and a in line 1",
        ),
    ],
)
def test_bad_train_line_is_named(make: Make, line: str, fault: str) -> None:
    assert faults_of(make([TRAIN[0], line, *TRAIN[1:]])) == (f"train.txt:2: {fault}",)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1 x/s1/1.wav", "must be '1|0 PATH_A PATH_B', got '1 x/s1/1.wav'"),
        (
            "2 x/s1/1.wav y/s1/1.wav",
            "the label must be 1 (same speaker) or 0, got '2'",
        ),
        (
            "nontarget x/s1/1.wav y/s1/1.wav",
            "the label must be 1 (same speaker) or 0, got 'nontarget'; convert it with: veer data "
            "convert val.txt --as trial --root wav",
        ),
        ("0 x/none.wav y/s1/1.wav", "there is no audio file wav/x/none.wav"),
        ("0 x/s1/1.wav ../y.wav", "the path must stay inside wav, got '../y.wav'"),
    ],
)
def test_bad_trial_line_is_named(make: Make, line: str, fault: str) -> None:
    assert faults_of(make(pairs=[*PAIRS, line])) == (f"val.txt:3: {fault}",)


def test_link_out_of_the_root_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    for name in ("1.wav", "2.wav"):
        (tmp_path / "outside" / name).touch()
    (tmp_path / "wav" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "wav" / "file.wav").symlink_to(tmp_path / "outside" / "1.wav")
    assert faults_of(make([*TRAIN, "b folder/1.wav", "b folder/2.wav", "b file.wav"])) == (
        "train.txt:4: the path must stay inside wav, got 'folder/1.wav', a link to outside: "
        f"wav/folder leads to outside; {LINK_REMEDY.format(root='wav')} (3 such lines)",
    )


def test_links_inside_the_root_and_to_the_root_are_fine(make: Make, tmp_path: Path) -> None:
    (tmp_path / "wav" / "b" / "again").symlink_to(tmp_path / "wav" / "b" / "s1")
    (tmp_path / "linked").symlink_to(tmp_path / "wav")
    config = make([*TRAIN, "b b/again/1.wav"]).model_copy(
        update={"train_dir": tmp_path / "linked"}
    )
    assert len(read_corpus(config).train) == 4


@pytest.mark.parametrize("content", [[], ["", " "]])
def test_empty_lists_are_refused(make: Make, content: list[str]) -> None:
    assert faults_of(make(content, content)) == (
        "train.txt:1: the list is empty",
        "val.txt:1: the list is empty",
    )


def test_missing_list_and_missing_root_are_one_fault_each(make: Make, tmp_path: Path) -> None:
    config = make().model_copy(
        update={"train_list": tmp_path / "no-train.txt", "val_dir": tmp_path / "no-wav"}
    )
    assert faults_of(config) == (
        "no-train.txt: there is no such list; did you mean train.txt?",
        "val.txt: there is no folder no-wav for its paths to start from",
    )


@pytest.mark.parametrize("label", ["1", "0"])
def test_one_class_only_is_refused(make: Make, label: str) -> None:
    pairs = [f"{label} x/s1/1.wav y/s1/1.wav", f"{label} y/s1/1.wav y/s2/1.wav"]
    assert faults_of(make(pairs=pairs)) == (
        "val.txt:1: must have target pairs (1) and non-target pairs (0), "
        f"got {label} in all 2 lines",
    )


def test_one_training_speaker_is_refused(make: Make) -> None:
    assert faults_of(make(TRAIN[:2])) == ("train.txt:1: must name at least two speakers, got a",)


def test_shared_speakers_are_refused_unless_allowed(make: Make) -> None:
    train = [*TRAIN, "x x/s2/1.wav", "y y/s3/1.wav"]
    assert faults_of(make(train)) == (
        "val.txt:1: speaker y is also in training, train.txt:5; 2 of the 2 speakers of this list "
        "are (y, x); if meant so, set allow_shared_speakers: true",
    )
    assert read_corpus(make(train, shared=True)).speakers == ("a", "b", "x", "y")


def test_all_faults_come_at_once(make: Make) -> None:
    config = make(["a", "a a/none.wav"], ["1 x/s1/1.wav x/none.wav", "?"])
    assert [fault.split(": ")[0] for fault in faults_of(config)] == [
        "train.txt:1",
        "train.txt:2",
        "val.txt:1",
        "val.txt:2",
    ]


def test_long_fault_lists_are_cut_when_shown_only() -> None:
    error = CorpusError([f"fault {number}" for number in range(MAX_SHOWN_FAULTS + 10)])
    assert str(error).endswith(f"fault {MAX_SHOWN_FAULTS - 1}\n... and 10 more")
    assert len(error.faults) == MAX_SHOWN_FAULTS + 10


def test_trial_list_without_training_list(make: Make) -> None:
    config = make()
    assert read_trial_list(config.val_list, config.val_dir) == read_corpus(config).val_pairs
    bad = make(pairs=["3 x/s1/1.wav y/s1/1.wav"])
    with pytest.raises(CorpusError, match=r"val\.txt:1: the label must be 1 .* got '3'"):
        read_trial_list(bad.val_list, bad.val_dir)


def test_config_paths_start_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "corpus.yaml").write_text(
        "train_dir: wav\ntrain_list: lists/train.txt\nval_dir: /data/wav\nval_list: ../val.txt\n"
        "min_duration_s: 1e0\n"
    )
    assert read_corpus_config(tmp_path / "corpus.yaml") == CorpusConfig(
        train_dir=tmp_path / "wav",
        train_list=tmp_path / "lists/train.txt",
        val_dir=Path("/data/wav"),
        val_list=tmp_path.parent / "val.txt",
        min_duration_s=1.0,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tran_list: x", r"corpus\.yaml:5: tran_list: .*did you mean 'train_list'"),
        ("min_duration_s: -1", r"corpus\.yaml:5: min_duration_s: .*-1"),
        ("test_dir: wav", "test_dir and test_list must be given together or not at all"),
    ],
)
def test_bad_setting_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "corpus.yaml").write_text(
        f"train_dir: wav\ntrain_list: t.txt\nval_dir: wav\nval_list: v.txt\n{line}\n"
    )
    with pytest.raises(ConfigError, match=message):
        read_corpus_config(tmp_path / "corpus.yaml")
