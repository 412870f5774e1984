from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spaces.files.errors import CorpusError
from trainable.corpus.check import PartReport, check_corpus
from trainable.corpus.corpus import CorpusConfig, read_corpus, read_corpus_config

MakeCorpus = Callable[..., Path]


@pytest.fixture
def config(make_corpus: MakeCorpus, tmp_path: Path) -> CorpusConfig:
    return read_corpus_config(
        make_corpus(tmp_path, num_train_speakers=3, num_val_speakers=2, num_utterances=2)
    )


def test_counts_of_a_good_corpus(config: CorpusConfig) -> None:
    reports: list[tuple[int, int]] = []
    report = check_corpus(config, lambda done, total: reports.append((done, total)))
    train, val = report.parts
    assert train == PartReport(
        name="train",
        num_speakers=3,
        num_files=6,
        num_target_pairs=0,
        num_nontarget_pairs=0,
        duration_h=pytest.approx(6 / 3600),
        shortest_s=1.0,
    )
    assert val == PartReport(
        name="validation",
        num_speakers=2,
        num_files=4,
        num_target_pairs=2,
        num_nontarget_pairs=4,
        duration_h=pytest.approx(4 / 3600),
        shortest_s=1.0,
        speakers_found="by folder 1 of the path: 2 speakers",
    )
    assert reports == [(done, 10) for done in range(1, 11)]


def test_faults_of_lists_and_audio_come_at_once(config: CorpusConfig) -> None:
    def write(path: str, wave: np.ndarray) -> None:
        soundfile.write(config.train_dir.parent / path, wave, 16_000, "FLOAT")

    time = np.linspace(0, 1, 16_000)
    write("train/id00000/session0/00001.wav", np.sin(900 * time)[:4_000])
    write("train/id00000/session1/00001.wav", np.zeros(16_000))
    write("val/id00003/session0/00001.wav", np.where(time == time[5], np.nan, np.sin(900 * time)))
    (config.train_dir / "id00001/session0/00001.wav").write_bytes(b"not audio")
    with config.train_list.open("a") as file:
        file.write("id00009\n")
    with pytest.raises(CorpusError, match="session0") as caught:
        check_corpus(config)
    folder = f"{config.train_dir.parent}/"
    faults = [fault.replace(folder, "") for fault in caught.value.faults]
    assert faults[:3] == [
        "train_list.txt:7: must be 'SPEAKER PATH', got 'id00009'",
        "train_list.txt:1: train/id00000/session0/00001.wav: must last at least 0.5 s, "
        "got 0.2500 s",
        "train_list.txt:2: train/id00000/session1/00001.wav: must be louder than -60 dBFS at its "
        "peak, got digital silence",
    ]
    assert faults[3].startswith(
        "train_list.txt:3: train/id00001/session0/00001.wav: cannot be read as WAV, "
    )
    assert faults[4:] == [
        "veri_val.txt:1: val/id00003/session0/00001.wav: must hold finite samples, "
        "got 1 NaN or infinite ones"
    ]


def test_the_minimum_duration_is_the_config_s(config: CorpusConfig) -> None:
    strict = config.model_copy(update={"min_duration_s": 1.5})
    with pytest.raises(CorpusError, match=r"must last at least 1\.5 s, got 1\.0000 s") as caught:
        check_corpus(strict)
    assert len(caught.value.faults) == 10


def test_test_list_is_checked_too(config: CorpusConfig) -> None:
    test_list = config.val_list.with_name("veri_test.txt")
    test_list.write_text("".join(config.val_list.read_text().splitlines(keepends=True)[:-1]))
    with_test = config.model_copy(update={"test_dir": config.val_dir, "test_list": test_list})
    assert [part.name for part in check_corpus(with_test).parts] == ["train", "validation", "test"]
    path = "id00000/session0/00001.wav"
    test_list.write_text(f"1 {path} {path}\n0 {path} id00001/session0/00001.wav\n")
    shared = config.model_copy(update={"test_dir": config.train_dir, "test_list": test_list})
    with pytest.raises(CorpusError, match=r"veri_test\.txt:1: speaker id00000 is also") as caught:
        check_corpus(shared)
    assert len(caught.value.faults) == 2


def test_a_validation_list_that_is_the_test_list_is_refused(config: CorpusConfig) -> None:
    same = config.model_copy(update={"test_dir": config.val_dir, "test_list": config.val_list})
    with pytest.raises(CorpusError, match=r"veri_val\.txt: must not be the test list too"):
        check_corpus(same)
    with pytest.raises(CorpusError, match=r"veri_val\.txt: must not be the test list too"):
        read_corpus(same)


def test_a_copy_of_the_validation_list_in_another_order_is_refused(config: CorpusConfig) -> None:
    copy = config.val_list.with_name("copy.txt")
    copy.write_text("\n".join(reversed(config.val_list.read_text().splitlines())))
    same = config.model_copy(update={"test_dir": config.val_dir, "test_list": copy})
    message = r"veri_val\.txt, of which .*copy\.txt is a copy: must not be the test list too"
    with pytest.raises(CorpusError, match=message) as caught:
        check_corpus(same)
    assert len(caught.value.faults) == 1


def test_a_test_list_with_validation_speakers_is_warned_of(config: CorpusConfig) -> None:
    first, *_, last = config.val_list.read_text().splitlines()
    test_list = config.val_list.with_name("veri_test.txt")
    lines = (first, config.val_list.read_text().splitlines()[1])
    test_list.write_text("\n".join((*lines, last)))
    apart = config.model_copy(update={"test_dir": config.val_dir, "test_list": test_list})
    (warning,) = check_corpus(apart).warnings
    assert "share 2 of the test list's 2 speakers (id00003, id00004)" in warning
    assert "and 3 of its 3 trial pairs" in warning
    assert check_corpus(config).warnings == ()


def test_a_published_test_list_as_validation_list_is_warned_of(tmp_path: Path) -> None:
    voices = ("id10270/5r0dWxy17C8", "id10271/1gtz-CUIygI")
    waves = [f"{voice}/0000{number}.wav" for voice in voices for number in (1, 2)]
    for number, path in enumerate([*waves, "a/1.wav", "b/1.wav"]):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, np.random.default_rng(number).normal(size=16_000) / 9, 16_000)
    (tmp_path / "train.txt").write_text("a a/1.wav\nb b/1.wav\n")
    (tmp_path / "val.txt").write_text(f"1 {waves[0]} {waves[1]}\n0 {waves[0]} {waves[2]}\n")
    config = CorpusConfig(
        train_dir=tmp_path,
        train_list=tmp_path / "train.txt",
        val_dir=tmp_path,
        val_list=tmp_path / "val.txt",
    )
    (warning,) = check_corpus(config).warnings
    assert "all 2 speakers of the validation list (id10270, id10271)" in warning
