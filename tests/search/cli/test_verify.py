"""`veer calibrate`, `veer verify` and `veer enroll`, on a tiny corpus and an untrained model."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from search.use.model_in_use import open_model
from search.use.more_measures import embed_cohort
from search.use.system import ModelSystem
from spaces.files.errors import CheckpointError, ConfigError, CorpusError
from tests.search.commands import veer
from tests.worlds.untrained_models import write_untrained
from trainable.calibration.calibration import read_calibration
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus.corpus import read_corpus_config, read_trial_list
from trainable.embedding.embedder import DEFAULT_PLAN, embed_utterances
from trainable.verification.evaluation import score_pairs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a model and its calibration."""
    folder = tmp_path_factory.mktemp("verify")
    corpus = make_corpus(
        folder / "corpus", num_train_speakers=12, num_val_speakers=7, num_utterances=3
    )
    model = write_untrained(folder, "mixer")
    done = veer(
        "calibrate", model, "--pairs", corpus.parent / "veri_val.txt", "--root",
        corpus.parent / "val", "--false-accepts", "10,20",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (folder / "calibrate.txt").write_text(done.output)
    return folder


@pytest.fixture
def voices(world: Path) -> list[Path]:
    """Three utterances of one speaker, then three of another."""
    return sorted((world / "corpus" / "val").rglob("*.wav"))[:6]


def verified(world: Path, *arguments: object) -> str:
    done = veer("verify", *arguments, "--model", world / "mixer.model", "--false-accepts", "20")
    assert done.exit_code == 0, done.output
    return done.output


def test_the_calibration_is_stored_with_the_model(world: Path) -> None:
    digest = open_model(world / "mixer.model", CPU).embedder.weights_sha256
    found = read_calibration(world / "mixer.model.calibration.json", digest)
    assert (found.num_speakers, found.num_crops, found.num_frames) == (7, 10, 300)
    assert [point.wanted_pct for point in found.points] == [None, 10, 20]
    shown = (world / "calibrate.txt").read_text()
    assert f"Cllr {found.cllr:.4f}, min Cllr {found.min_cllr:.4f} bits" in shown
    assert re.search(rf"20 % wanted +{re.escape(f'{found.points[2].threshold:.4f}')} ", shown)


def test_the_score_is_that_of_an_evaluation(world: Path) -> None:
    corpus = read_corpus_config(world / "corpus" / "corpus.yaml")
    pair = read_trial_list(corpus.val_list, corpus.val_dir)[0]
    model = load_speaker_model(world / "mixer.model").model
    (score,) = score_pairs(model, corpus.val_dir, _both_kinds(pair, corpus), device=CPU).cosine[:1]
    shown = verified(world, *(corpus.val_dir / path for path in (pair.path_a, pair.path_b)))
    assert f"score {score:.4f} (cosine" in shown


def _both_kinds(pair, corpus):
    """The pair, and one of the other label, which metrics need."""
    listed = read_trial_list(corpus.val_list, corpus.val_dir)
    return [pair, next(each for each in listed if each.is_target != pair.is_target)]


def test_a_file_and_itself_are_of_one_speaker(world: Path, voices: list[Path]) -> None:
    shown = verified(world, voices[0], voices[0])
    assert "score 1.0000" in shown
    assert "\nsame speaker: the score 1.0000 is above the threshold 0." in shown
    # 37 of 189 pairs are the most that a fifth allows.
    assert re.search(r"19\.58 % \(95 % interval .*\) of pairs of different speakers", shown)
    assert "veri_val.txt: " in shown
    assert "mixer.model.calibration.json)" in shown


def test_any_rate_and_number_of_channels_is_the_same_voice(
    world: Path, voices: list[Path], tmp_path: Path
) -> None:
    wave, _ = soundfile.read(voices[0])
    # Linear interpolation to 48 kHz: little of it is above the 8 kHz that remain.
    times = np.arange(3 * len(wave)) / 3
    loud = np.interp(times, np.arange(len(wave)), wave)
    soundfile.write(tmp_path / "a.flac", np.stack([loud, loud], axis=1), 48_000)
    score = float(re.search(r"score (\S+)", verified(world, voices[0], tmp_path / "a.flac"))[1])
    assert score > 0.95


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        pytest.param(np.zeros(16_000), "a.wav: must be louder than -60 dBFS", id="silent"),
        pytest.param(np.full(100, 0.5), "a.wav: must last at least 0.0160625 s", id="short"),
        pytest.param(None, "b.wav: cannot be read", id="missing"),
    ],
)
def test_audio_that_cannot_be_compared_is_refused(
    wave: np.ndarray | None, message: str, world: Path, voices: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / ("b.wav" if wave is None else "a.wav")
    if wave is not None:
        soundfile.write(file, wave, 16_000)
    with pytest.raises(CorpusError, match=message.replace(".", r"\.")):
        verified(world, voices[0], file)


def test_short_speech_is_compared_with_a_remark(
    world: Path, voices: list[Path], tmp_path: Path
) -> None:
    wave, rate_hz = soundfile.read(voices[0])
    soundfile.write(tmp_path / "a.wav", wave[: rate_hz // 2], rate_hz)
    shown = verified(world, voices[0], tmp_path / "a.wav")
    assert "a.wav has only 0.50 s of audio: the error rates are those of the cal" in shown


def test_a_speaker_is_enrolled_from_several_files(
    world: Path, voices: list[Path], tmp_path: Path
) -> None:
    store = ("--store", tmp_path / "s.json")
    shown = veer("enroll", "ann", *voices[:2], "--model", world / "mixer.model", *store).output
    assert "enrolled ann: 2 files, 2.0 s" in shown
    assert "has 2 speakers" in veer("enroll", "bob", voices[3], *store).output
    assert "replaced bob" in veer("enroll", "bob", voices[3], *store).output
    shown = veer("verify", "bob", voices[3], *store, "--false-accepts", "eer").output
    assert shown.startswith("score 1.0000")
    shown = veer("verify", "ann", voices[2], *store, "--false-accepts", "eer").output
    assert "remark: ann is enrolled with 2 files, and the threshold was measured with one" in shown
    with pytest.raises(ConfigError, match=r"'an' is neither a file .*did you mean 'ann'"):
        veer("verify", "an", voices[2], *store)
    with pytest.raises(ConfigError, match=r"there is no file no/a\.wav, and no speaker"):
        veer("verify", "no/a.wav", voices[2], "--store", tmp_path / "none.json")


def test_a_store_is_of_one_model(world: Path, voices: list[Path], tmp_path: Path) -> None:
    store = ("--store", tmp_path / "s.json")
    other = write_untrained(tmp_path, "ecapa")
    veer("enroll", "ann", voices[0], "--model", world / "mixer.model", *store)
    with pytest.raises(ConfigError, match=r"s\.json: its speakers were enrolled with .*mixer"):
        veer("enroll", "bob", voices[3], "--model", other, *store)


@pytest.fixture(scope="module")
def normed(world: Path) -> Path:
    """A calibration of scores by AS-Norm with the 10 nearest of 12 speakers."""
    corpus, file = world / "corpus", world / "normed.json"
    done = veer(
        "calibrate", world / "mixer.model", "--pairs", corpus / "veri_val.txt", "--root",
        corpus / "val", "--false-accepts", "20", "--out", file, "--as-norm", "10",
        "--cohort", corpus / "train_list.txt", "--cohort-root", corpus / "train",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    shown = " ".join(done.output.split())
    assert "scores by AS-Norm with the 10 nearest of 12 speakers of" in shown
    return file


def test_a_threshold_of_normalised_scores_normalises(
    world: Path, normed: Path, voices: list[Path]
) -> None:
    model = open_model(world / "mixer.model", CPU)
    found = read_calibration(normed, model.embedder.weights_sha256)
    listed = [voices[0], voices[3]]
    corpus = read_corpus_config(world / "corpus" / "corpus.yaml")
    cohort = embed_cohort(
        ModelSystem(model, DEFAULT_PLAN), (corpus.train_list, corpus.train_dir), 10
    )
    embedded = embed_utterances(model.embedder, Path("/"), [str(each) for each in listed])
    sides = (np.array([0]), np.array([1]))
    [cosine] = embedded.cosines(*sides)
    [score] = cohort.normalised(np.array([cosine]), embedded, sides)
    shown = verified(world, *listed, "--calibration", normed)
    line = f"score {score:.4f} (AS-Norm with the 10 nearest of 12 speakers, of the cosine "
    assert line + f"{cosine:.4f})" in shown
    assert f"the threshold {found.point(20).threshold:.4f}" in shown
    # Asked for by name, it is the same; more than there are is all of them.
    assert verified(world, *listed, "--calibration", normed, "--as-norm", "10") == shown


def test_normalised_scores_are_not_compared_with_other_thresholds(
    world: Path, normed: Path, voices: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError,
        match=r"--as-norm 10 needs a threshold of normalised scores, and that of .*veri_val\.txt "
        r"\(.*mixer\.model\.calibration\.json\) is of cosines: omit --as-norm, or make one: ",
    ):
        verified(world, *voices[:2], "--as-norm", "10")
    with pytest.raises(ConfigError, match=r"--as-norm 11 is not .*the 10 nearest of 12 speakers"):
        verified(world, *voices[:2], "--calibration", normed, "--as-norm", "11")
    model = write_untrained(tmp_path, "mixer")
    with pytest.raises(ConfigError, match=r"--as-norm 300 needs a threshold of such .*not exist"):
        veer("verify", *voices[:2], "--model", model, "--as-norm", "300")
    with pytest.raises(ConfigError, match="--cohort and --cohort-root must be given together"):
        veer("calibrate", model, "--pairs", world, "--root", world, "--as-norm", "10",
             "--cohort", world)  # fmt: skip
    with pytest.raises(ConfigError, match="no record of its corpus: give --cohort LIST"):
        veer("calibrate", model, "--pairs", world / "corpus" / "veri_val.txt", "--root",
             world / "corpus" / "val", "--as-norm", "10")  # fmt: skip


def test_without_a_calibration_there_is_a_score_and_no_decision(
    voices: list[Path], tmp_path: Path
) -> None:
    model = write_untrained(tmp_path, "mixer")
    shown = veer("verify", voices[0], voices[0], "--model", model).output
    assert "no decision: " in shown
    assert "mixer.model.calibration.json does not exist" in shown


def test_wrong_options_are_refused(world: Path, voices: list[Path]) -> None:
    with pytest.raises(ConfigError, match="two files are compared by a model: give --model"):
        veer("verify", *voices[:2])
    with pytest.raises(ConfigError, match="must be a percentage or eer, got '120'"):
        veer("verify", *voices[:2], "--model", world, "--false-accepts", "120")
    with pytest.raises(ConfigError, match=r"must be one of 10, 20 \(or eer\), got 1"):
        veer("verify", *voices[:2], "--model", world / "mixer.model")
    with pytest.raises(CheckpointError):
        veer("verify", *voices[:2], "--model", world / "nothing")
    with pytest.raises(ConfigError, match=r"--quality must name .*got 'durations'; did you mean"):
        veer("calibrate", world, "--pairs", world, "--root", world, "--quality", "durations")
