"""What training and a trial list must not share, and what the pairs of a list must not hold."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spaces.files.errors import CorpusError
from spaces.files.yaml_file import write_yaml
from trainable.corpus.check import check_corpus
from trainable.corpus.corpus import CorpusConfig, read_corpus, read_corpus_config

Lists = Callable[..., CorpusConfig]

TRAIN = ["s0 s0/a.wav", "s0 s0/b.wav", "s1 s1/a.wav", "s1 s1/b.wav"]
PAIRS = [
    "1 s2/a.wav s2/b.wav", "1 s3/a.wav s3/b.wav", "0 s2/a.wav s3/a.wav", "0 s2/b.wav s3/b.wav",
]  # fmt: skip
BEHIND_WAV = [pair.replace(" s", " wav/s") for pair in PAIRS]


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    """Write lists beside 0.1 s of noise in `wav/SPEAKER/SESSION.wav`: s0 to s3, sessions a to c.

    Session c is in no list.
    """
    rng = np.random.default_rng(0)
    for speaker in ("s0", "s1", "s2", "s3"):
        for session in "abc":
            file = tmp_path / "wav" / speaker / f"{session}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, rng.normal(size=1600) / 9, 16_000)

    def write(
        train: list[str] = TRAIN, pairs: list[str] = PAIRS, **settings: object
    ) -> CorpusConfig:
        (tmp_path / "train.txt").write_text("\n".join(train))
        (tmp_path / "val.txt").write_text("\n".join(pairs))
        given = {"train_dir": "wav", "val_dir": "wav", "train_list": "train.txt"}
        given |= {"val_list": "val.txt", "min_duration_s": 0.05}
        write_yaml(tmp_path / "corpus.yaml", given | settings)
        return read_corpus_config(tmp_path / "corpus.yaml")

    return write


def faults_of(config: CorpusConfig) -> list[str]:
    """Return the faults of the full check, without the folder."""
    with pytest.raises(CorpusError, match=r"val\.txt|train\.txt") as caught:
        check_corpus(config)
    folder = f"{config.train_list.parent}/"
    return [fault.replace(folder, "") for fault in caught.value.faults]


def warnings_of(config: CorpusConfig) -> list[str]:
    folder = f"{config.train_list.parent}/"
    return [warning.replace(folder, "") for warning in check_corpus(config).warnings]


def speakers_of(config: CorpusConfig) -> str:
    return check_corpus(config).parts[1].speakers_found


def test_plain_lists_pass_without_a_word(lists: Lists) -> None:
    assert warnings_of(lists()) == []
    assert speakers_of(lists()) == "by folder 1 of the path: 2 speakers"


def test_speakers_behind_a_folder_are_counted(lists: Lists) -> None:
    assert speakers_of(lists(pairs=BEHIND_WAV, val_dir=".")) == (
        "by folder 2 of the path: 2 speakers"
    )


@pytest.mark.parametrize(
    "train",
    [
        [*TRAIN, "s2 s2/c.wav"],  # the name in the list
        ["0 s0/a.wav", "0 s0/b.wav", "1 s1/a.wav", "2 s2/c.wav"],  # class numbers
        ["anna s0/a.wav", "bert s1/b.wav", "carl s2/c.wav"],  # other names
    ],
)
def test_a_shared_speaker_is_seen_whatever_the_train_list_calls_it(
    lists: Lists, train: list[str]
) -> None:
    line = f"train.txt:{len(train)}"
    fault = f"val.txt:1: speaker s2 is also in training, {line}; if meant so, set allow_shared_"
    assert faults_of(lists(train, BEHIND_WAV, val_dir=".")) == [f"{fault}speakers: true"]
    assert warnings_of(lists(train, BEHIND_WAV, val_dir=".", allow_shared_speakers=True)) == []


def test_class_numbers_are_no_speakers_of_another_list(lists: Lists, tmp_path: Path) -> None:
    (tmp_path / "wav" / "s2").rename(tmp_path / "wav" / "1")
    pairs = [pair.replace("s2", "1") for pair in PAIRS]
    train = ["0 s0/a.wav", "0 s0/b.wav", "1 s1/a.wav", "1 s1/b.wav"]
    assert warnings_of(lists(train, pairs)) == []


def test_shared_recordings_are_counted_even_where_speakers_may_be_shared(lists: Lists) -> None:
    train = [*TRAIN, "x s2/a.wav", "x s2/b.wav"]
    config = lists(train, BEHIND_WAV, val_dir=".", allow_shared_speakers=True)
    (fault,) = faults_of(config)
    assert fault == (
        "val.txt:1: 2 of the 4 recordings of this list are also in training, such as "
        "wav/s2/a.wav, which is s2/a.wav in train.txt:5; leave them out of one of the two lists"
    )
    # A training or search refuses them too, without reading audio.
    with pytest.raises(CorpusError, match="2 of the 4 recordings of this list are also in"):
        read_corpus(config)


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_two_paths_to_one_file_are_one_recording(
    lists: Lists, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "wav" / "s0" / "d.wav"
    if kind == "link":
        other.symlink_to(tmp_path / "wav" / "s3" / "a.wav")
    else:
        os.link(tmp_path / "wav" / "s3" / "a.wav", other)
    (fault,) = faults_of(lists([*TRAIN, "s0 s0/d.wav"]))
    assert "1 of the 4 recordings of this list are also in training, such as s3/a.wav" in fault


def test_two_paths_to_one_file_have_one_speaker(lists: Lists, tmp_path: Path) -> None:
    os.link(tmp_path / "wav" / "s0" / "a.wav", tmp_path / "wav" / "s1" / "d.wav")
    (fault,) = faults_of(lists([*TRAIN, "s1 s1/d.wav"]))
    assert fault == "train.txt:5: a file has one speaker, got s1 for s1/d.wav and s0 in line 1"


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_copy_is_found_by_its_samples(lists: Lists, tmp_path: Path, suffix: str) -> None:
    wave, rate_hz = soundfile.read(tmp_path / "wav" / "s3" / "a.wav")
    soundfile.write(tmp_path / "wav" / "s0" / f"copy.{suffix}", wave, rate_hz)
    config = lists([*TRAIN, f"s0 s0/copy.{suffix}"])
    read_corpus(config)
    assert faults_of(config) == [
        "val.txt:2: 1 of the 4 recordings of this list are also in training, such as s3/a.wav, "
        f"which is s0/copy.{suffix} in train.txt:5; leave them out of one of the two lists"
    ]


def test_other_audio_of_one_length_is_no_copy(lists: Lists, tmp_path: Path) -> None:
    """Also if it differs only between the samples that are compared first."""
    wave, rate_hz = soundfile.read(tmp_path / "wav" / "s3" / "a.wav", dtype="int16")
    wave[5] += 100
    soundfile.write(tmp_path / "wav" / "s0" / "near.wav", wave, rate_hz)
    assert warnings_of(lists([*TRAIN, "s0 s0/near.wav"])) == []


def test_recordings_of_validation_and_test_under_other_names_are_warned_of(
    lists: Lists, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "wav" / "s2", tmp_path / "wav" / "t2")
    shutil.copytree(tmp_path / "wav" / "s3", tmp_path / "wav" / "t3")
    (tmp_path / "test.txt").write_text("\n".join(PAIRS).replace("s", "t"))
    (warning,) = warnings_of(lists(test_dir="wav", test_list="test.txt"))
    assert "validation and test list share 4 recordings under other names" in warning


def test_copies_within_training_are_warned_of(lists: Lists, tmp_path: Path) -> None:
    for speaker in ("s0", "s1"):
        shutil.copyfile(tmp_path / "wav" / "s0" / "a.wav", tmp_path / "wav" / speaker / "d.wav")
    assert warnings_of(lists([*TRAIN, "s0 s0/d.wav", "s1 s1/d.wav"])) == [
        "train.txt:6: s1/d.wav has the samples of s0/a.wav in line 1, which has another speaker: "
        "one of the labels is wrong",
        "train.txt:5: s0/d.wav has the samples of s0/a.wav in line 1, which an epoch takes twice",
    ]


def test_swapped_labels_are_refused_and_can_be_said(lists: Lists) -> None:
    swapped = [f"{1 - int(pair[0])}{pair[1:]}" for pair in PAIRS]
    (fault,) = faults_of(lists(pairs=swapped))
    assert fault.startswith(
        "val.txt:1: all 4 labels contradict the speakers by folder 1 of the path: 2 speakers; if "
        "0 stands for the same speaker, set labels: 0 is target in corpus.yaml"
    )
    said = lists(pairs=swapped, labels="0 is target")
    assert read_corpus(said).val_pairs == read_corpus(lists()).val_pairs
    (fault,) = faults_of(lists(labels="0 is target"))
    assert fault.endswith("labels: 0 is target is wrong for this list: remove it")
    # Whoever insists gets a warning, and no intervals.
    (warning,) = warnings_of(lists(pairs=swapped, labels="1 is target"))
    assert "4 of 4 labels contradict the speakers by folder 1 of the path" in warning
    assert "error rates have no intervals" in warning


def test_a_wrong_label_is_named_with_its_line(lists: Lists) -> None:
    pairs = [f"0 s2/{one}.wav s3/{two}.wav" for one in "abc" for two in "abc"]
    pairs += [f"0 s3/{one}.wav s1/c.wav" for one in "abc"]
    pairs[4] = pairs[4].replace("0 ", "1 ", 1)
    two_of = ("ab", "bc", "ac")
    targets = [f"1 s{n}/{one}.wav s{n}/{two}.wav" for n in (2, 3) for one, two in two_of]
    targets += [f"1 s{n}/a.wav s{n}/b.wav" for n in (2, 3) for _ in "12"]
    (fault,) = faults_of(lists([*TRAIN[:2], "x s0/c.wav"], [*pairs, *targets]))
    assert fault.startswith("val.txt:5: 1 of 22 labels contradict the speakers by folder 1 of")
    assert "(lines 5); correct them" in fault


def test_the_rule_of_the_corpus_is_taken(lists: Lists, tmp_path: Path) -> None:
    utterances = [(n, f"s{n}/{u}.wav") for n in (2, 3) for u in "ab"]
    (tmp_path / "utt2spk").write_text("".join(f"{path} t{n}\n" for n, path in utterances))
    assert speakers_of(lists(speaker="utt2spk")) == f"by {tmp_path}/utt2spk: 2 speakers"
    assert speakers_of(lists(pairs=BEHIND_WAV, val_dir=".", speaker={"folder": 2})) == (
        "by folder 2 of the path: 2 speakers"
    )
    assert faults_of(lists(speaker={"folder": 2})) == [
        "val.txt: speaker: folder 2 of the path gives no speaker for 4 of 4 paths, such as "
        "'s2/a.wav'"
    ]
    (tmp_path / "utt2spk").write_text("".join(f"{path} t\n" for _, path in utterances))
    (fault,) = faults_of(lists(speaker="utt2spk"))
    assert fault.startswith("val.txt:3: 2 of 4 labels contradict the speakers by utt2spk: 1 sp")


def test_a_pair_with_both_labels_is_refused_with_both_lines(lists: Lists) -> None:
    pairs = [*PAIRS, "0 s2/b.wav s2/a.wav", "1 s2/a.wav s3/a.wav"]
    assert faults_of(lists(pairs=pairs)) == [
        "val.txt:5: a pair has one label, but line 1 has it as of one speaker and line 5 as of "
        "two; pairs with both labels: 2 (lines 1 and 5, 6 and 3): keep the right line of each"
    ]


def test_a_file_with_itself_is_warned_of_with_its_effect(lists: Lists, tmp_path: Path) -> None:
    pairs = [*PAIRS, "1 s2/a.wav s2/a.wav"]
    (warning,) = warnings_of(lists(pairs=pairs))
    assert warning.startswith("val.txt:5: 1 of 3 target pairs are a file with itself, which no")
    assert "(an EER of 20 % as about 16.2 %)" in warning
    # A copy is the same recording, too.
    shutil.copyfile(tmp_path / "wav" / "s2" / "a.wav", tmp_path / "wav" / "s2" / "d.wav")
    (warning,) = warnings_of(lists(pairs=[*PAIRS, "1 s2/a.wav s2/d.wav"]))
    assert "1 of 3 target pairs are a file with itself" in warning
    (fault,) = faults_of(lists(pairs=[*PAIRS, "0 s2/a.wav s2/a.wav"]))
    assert fault == (
        "val.txt:5: a file with itself is one speaker, but labelled as two, in 1 pairs: leave "
        "them out"
    )


def test_repeated_lines_are_warned_of(lists: Lists) -> None:
    pairs = [*PAIRS, "1 s2/b.wav s2/a.wav", PAIRS[3]]
    assert warnings_of(lists([*TRAIN, TRAIN[0]], pairs)) == [
        "train.txt:5: 1 of 5 lines repeat an earlier utterance (this one that of line 1), which "
        "an epoch takes as often as it is listed; leave the repeats out",
        "val.txt:5: 2 of 6 lines repeat an earlier pair (this one that of line 1), so that these "
        "pairs weigh more than others in error rates; leave the repeats out",
    ]


def test_a_list_without_speakers_says_so(lists: Lists, tmp_path: Path) -> None:
    for n in (2, 3):
        for u in "ab":
            (tmp_path / "wav" / f"s{n}" / f"{u}.wav").rename(tmp_path / "wav" / f"{n}{u}.wav")
    pairs = [pair.replace("s", "").replace("/", "") for pair in PAIRS]
    (warning,) = warnings_of(lists(pairs=pairs))
    assert "no folder of the paths is the speaker; they are found by target pairs" in warning
    assert "give the speakers (speaker: in corpus.yaml)" in warning
