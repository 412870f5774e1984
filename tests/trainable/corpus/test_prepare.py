import os
from collections import Counter
from pathlib import Path

import pytest

from spaces.files.errors import CorpusError, VeerError
from trainable.corpus.corpus import Corpus, read_corpus, read_corpus_config, read_trial_list
from trainable.corpus.prepare import Layout, PrepareConfig, prepare_corpus

LISTS = ("train_list.txt", "veri_val.txt", "veri_test.txt", "corpus.yaml")


def make_tree(
    root: Path, *, num_speakers: int = 10, num_sessions: int = 3, suffix: str = ".wav"
) -> Path:
    for speaker in range(num_speakers):
        for session in range(num_sessions):
            folder = root / f"id{speaker:02d}" / f"video{session}"
            folder.mkdir(parents=True)
            for utterance in range(2):
                (folder / f"{utterance:05d}{suffix}").touch()
    return root


def settings(
    layout: Layout = "voxceleb", *, num_test_speakers: int = 2, num_pairs: int = 40, seed: int = 0
) -> PrepareConfig:
    return PrepareConfig(
        layout=layout,
        num_val_speakers=3,
        num_test_speakers=num_test_speakers,
        num_pairs=num_pairs,
        seed=seed,
    )


def prepared(root: Path, out: Path, config: PrepareConfig) -> Corpus:
    return read_corpus(read_corpus_config(prepare_corpus(root, out, config)))


def texts(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in LISTS if (folder / name).exists()}


def speakers_of(paths: set[str]) -> set[str]:
    return {path.split("/")[0] for path in paths}


def test_speakers_are_split_without_rest_or_overlap(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "wav")
    corpus = prepared(root, tmp_path, settings())
    config = corpus.config
    assert config.test_list is not None
    assert config.test_dir == root
    test = read_trial_list(config.test_list, root)
    train = speakers_of({u.path for u in corpus.train})
    val = speakers_of({*corpus.val_paths})
    held_out = speakers_of({p for pair in test for p in (pair.path_a, pair.path_b)})
    assert (len(train), len(val), len(held_out)) == (5, 3, 2)
    assert len(train | val | held_out) == 10
    assert set(corpus.speakers) == train
    assert len(corpus.train) == 5 * 6


@pytest.mark.parametrize("num_pairs", [2, 7, 40, 10_000])
def test_pairs_are_balanced_distinct_and_rightly_labelled(tmp_path: Path, num_pairs: int) -> None:
    corpus = prepared(make_tree(tmp_path), tmp_path, settings(num_pairs=num_pairs))
    pairs = corpus.val_pairs
    # 3 speakers with 3 sessions of 2 files: 12 pairs across sessions each, 108 of two speakers.
    num_each = min(num_pairs // 2, 36)
    assert Counter(pair.is_target for pair in pairs) == {True: num_each, False: num_each}
    assert len({frozenset((pair.path_a, pair.path_b)) for pair in pairs}) == len(pairs)
    for pair in pairs:
        a, b = pair.path_a.split("/"), pair.path_b.split("/")
        assert pair.is_target == (a[0] == b[0])
        assert a[:2] != b[:2]


def test_targets_are_spread_over_the_speakers(tmp_path: Path) -> None:
    corpus = prepared(make_tree(tmp_path), tmp_path, settings(num_pairs=42))
    targets = Counter(p.path_a.split("/")[0] for p in corpus.val_pairs if p.is_target)
    assert set(targets.values()) == {7}


def test_one_session_gives_targets_within_it(tmp_path: Path) -> None:
    corpus = prepared(make_tree(tmp_path, num_sessions=1), tmp_path, settings())
    targets = [pair for pair in corpus.val_pairs if pair.is_target]
    assert len(targets) == 3
    assert all(p.path_a.rsplit("/", 1)[0] == p.path_b.rsplit("/", 1)[0] for p in targets)


def test_seed_decides(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "wav")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare_corpus(root, tmp_path / name, settings(seed=seed))
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert texts(tmp_path / "a")["veri_val.txt"] != texts(tmp_path / "c")["veri_val.txt"]


def test_lists_elsewhere_find_the_audio(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "wav")
    corpus = prepared(root, tmp_path / "lists" / "deep", settings(num_test_speakers=0))
    assert corpus.config.train_dir == root
    assert corpus.config.test_list is None


def test_a_moved_corpus_still_works(tmp_path: Path) -> None:
    make_tree(tmp_path / "old" / "wav")
    prepare_corpus(tmp_path / "old" / "wav", tmp_path / "old", settings())
    (tmp_path / "old").rename(tmp_path / "new")
    corpus = read_corpus(read_corpus_config(tmp_path / "new" / "corpus.yaml"))
    assert corpus.config.train_dir == tmp_path / "new" / "wav"


def test_librispeech_tree(tmp_path: Path) -> None:
    for speaker in range(8):
        for chapter in (100, 200):
            folder = tmp_path / f"{speaker}" / f"{chapter}"
            folder.mkdir(parents=True)
            (folder / f"{speaker}-{chapter}.trans.txt").touch()
            (folder / f"{speaker}-{chapter}-0000.wav").touch()
            (folder / f"{speaker}-{chapter}-0000.flac").touch()
    corpus = prepared(tmp_path, tmp_path, settings("librispeech"))
    assert len(corpus.train) == 3 * 2
    assert all(u.path.endswith(".flac") for u in corpus.train)


def test_existing_lists_stay_unless_forced(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    prepare_corpus(root, root, settings(seed=1))
    before = texts(root)
    with pytest.raises(VeerError, match=r"already has train_list\.txt, veri_val\.txt, veri_test"):
        prepare_corpus(root, root, settings(seed=2))
    assert texts(root) == before
    forced = settings(seed=2, num_test_speakers=0).model_copy(update={"force": True})
    prepare_corpus(root, root, forced)
    after = texts(root)
    assert after["train_list.txt"] != before["train_list.txt"]
    assert "veri_test.txt" not in after


def test_m4a_is_refused_until_converted(tmp_path: Path) -> None:
    make_tree(tmp_path, suffix=".m4a")
    with pytest.raises(CorpusError, match=r"60 m4a files have no WAV or FLAC .*id00/video0/00000"):
        prepare_corpus(tmp_path, tmp_path, settings())
    for path in tmp_path.glob("*/*/*.m4a"):
        path.with_suffix(".wav").touch()
    assert len(prepared(tmp_path, tmp_path, settings()).train) == 30


def test_folder_too_far_out_is_pointed_further_in(tmp_path: Path) -> None:
    make_tree(tmp_path / "dev")
    with pytest.raises(CorpusError, match=r"found none; there is .* such as .*/dev$"):
        prepare_corpus(tmp_path, tmp_path, settings())
    with pytest.raises(CorpusError, match="no-such: there is no such folder"):
        prepare_corpus(tmp_path / "no-such", tmp_path, settings())


def test_names_that_a_list_cannot_hold_are_refused(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    (root / "id00").rename(root / "Jane Doe")
    with pytest.raises(CorpusError, match=r"white space, got 'Jane Doe/video0/00000\.wav'"):
        prepare_corpus(root, root, settings())


def test_linked_speakers_are_refused_as_lists_refuse_them(tmp_path: Path) -> None:
    """What is written is taken by the check: links out of the folder, and one file twice."""
    root = make_tree(tmp_path / "wav")
    (root / "id00").rename(tmp_path / "elsewhere")
    (root / "id00").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorpusError, match=r"id00 leads to .*elsewhere; copy the root with") as e:
        prepare_corpus(root, root, settings())
    assert len(e.value.faults) == 1
    assert texts(root) == {}
    (root / "id00").unlink()
    (root / "id00").symlink_to(root / "id01")
    with pytest.raises(CorpusError, match=r"id01/video0/00000\.wav and id00/.* are one file"):
        prepare_corpus(root, root, settings())


def test_a_file_that_a_speaker_has_twice_is_listed_once(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    for speaker in root.glob("id*"):
        (speaker / "video9").symlink_to(speaker / "video0")
    prepared(root, root, settings())
    assert "video9" not in "".join(texts(root).values())


@pytest.mark.parametrize("name", [b"id\xe900", b"id\x1b[2J"])
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, name: bytes) -> None:
    root = make_tree(tmp_path)
    (root / "id00").rename(root / os.fsdecode(name))
    with pytest.raises(CorpusError, match="must be printable"):
        prepare_corpus(root, root, settings())


def test_leavings_of_other_systems_are_skipped(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    (root / "id00" / "video0" / "._00000.wav").touch()
    speakers = {u.path for u in prepared(root, root, settings()).train}
    assert not any("._" in path for path in speakers)


@pytest.mark.parametrize(("num_speakers", "num_test_speakers"), [(6, 2), (4, 0), (10, 1), (10, 8)])
def test_too_few_speakers_are_refused(
    tmp_path: Path, num_speakers: int, num_test_speakers: int
) -> None:
    root = make_tree(tmp_path, num_speakers=num_speakers)
    with pytest.raises(VeerError, match=f"got {num_speakers} speakers, .* {num_test_speakers} to"):
        prepare_corpus(root, root, settings(num_test_speakers=num_test_speakers))
    assert texts(root) == {}


def test_speakers_with_one_file_only_train(tmp_path: Path) -> None:
    root = make_tree(tmp_path, num_speakers=5)
    for number in range(30):
        folder = root / f"single{number}" / "video0"
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    corpus = prepared(root, root, settings())
    assert len(corpus.speakers) == 30
    assert all(speaker.startswith("single") for speaker in corpus.speakers)
