"""`veer score` and the further measures of `veer evaluate`, which agree with each other."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spaces.files.errors import ConfigError
from tests.search.commands import table_rows, veer
from tests.worlds.untrained_models import write_untrained
from trainable.calibration.as_norm import Cohort
from trainable.calibration.cllr import cllr
from trainable.calibration.logistic import fit_llr
from trainable.calibration.quality import with_quality
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import parse_trial_list
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.metrics import equal_error_rate


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def world(make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a model, and the model's embeddings of all of it in one file."""
    folder = tmp_path_factory.mktemp("score")
    corpus = make_corpus(
        folder / "corpus", num_train_speakers=12, num_val_speakers=7, num_utterances=3
    ).parent
    model = write_untrained(folder, "mixer")
    for name, listed in (("train", "train_list.txt"), ("val", "veri_val.txt")):
        veer("embed", corpus / listed, "--root", corpus / name, "--model", model, "--out",
             folder / f"{name}.parquet")  # fmt: skip
    tables = [pq.read_table(folder / f"{name}.parquet") for name in ("train", "val")]
    pq.write_table(pa.concat_tables(tables), folder / "all.parquet")
    lines = (corpus / "veri_val.txt").read_text().splitlines()
    (folder / "even.txt").write_text("\n".join(lines[::2]) + "\n")
    (folder / "odd.txt").write_text("\n".join(lines[1::2]) + "\n")
    return folder


def embedded(world: Path, name: str, listed: str) -> tuple[PairIndex, EmbeddedUtterances]:
    rows = pq.read_table(world / f"{name}.parquet").to_pydict()
    of = dict(zip(rows["utterance"], rows["embedding"], strict=True))
    index = PairIndex.from_pairs(
        parse_trial_list(world / listed, world, faults := [], check_files=False)
    )
    assert not faults
    utterances = EmbeddedUtterances(
        paths=index.paths,
        mean_UD=np.array([of[path] for path in index.paths]),
        duration_s_U=np.ones(len(index.paths)),
    )
    return index, utterances


def score(*arguments: object) -> list[list[str]]:
    done = veer("score", *arguments)
    assert done.exit_code == 0, done.output
    return table_rows(done.output)


def test_embeddings_are_scored_normalised_and_calibrated(world: Path, tmp_path: Path) -> None:
    cosine, normed = score(
        world / "odd.txt", world / "all.parquet", "--as-norm", 10, "--cohort",
        world / "corpus" / "train_list.txt", "--calibrate-on", world / "even.txt", "--prior", 0.1,
        "--scores-out", tmp_path / "out.scores",
    )  # fmt: skip
    index, utterances = embedded(world, "val", "odd.txt")
    scores, sides = utterances.cosines(index.a, index.b), (index.a, index.b)
    other, of_other = embedded(world, "val", "even.txt")
    fit = fit_llr(of_other.cosines(other.a, other.b)[:, None], other.is_target)
    assert cosine[:2] == ["cosine", f"{equal_error_rate(scores, index.is_target):.2f}"]
    expected = cllr(fit.llr(scores[:, None]), index.is_target)
    assert cosine[-2] == f"{expected:.4f}"
    training = pq.read_table(world / "train.parquet").to_pydict()
    cohort = Cohort.of(
        EmbeddedUtterances(
            paths=tuple(training["utterance"]),
            mean_UD=np.array(training["embedding"]),
            duration_s_U=np.ones(36),
        ),
        [path.split("/")[0] for path in training["utterance"]],
        10,
    )
    normalised = cohort.normalised(scores, utterances, sides)
    assert normed[:2] == [
        "cosine, AS-Norm (top 10 of 12)", f"{equal_error_rate(normalised, index.is_target):.2f}",
    ]  # fmt: skip
    # What was written is scored as text.
    (again,) = score(world / "odd.txt", tmp_path / "out.scores")
    assert again[1:3] == normed[1:3]


def test_an_evaluation_measures_the_same(world: Path) -> None:
    corpus = world / "corpus"
    common = ("--as-norm", 10, "--prior", 0.3, "--by", "duration", "--calibrate-on")
    cohort = ("--cohort", corpus / "train_list.txt")
    stored = score(
        world / "odd.txt", world / "all.parquet", *common, world / "even.txt", *cohort,
        "--enrolled-by", world / "val.parquet",
    )  # fmt: skip
    done = veer(
        "evaluate", world / "mixer.model", "--pairs", world / "odd.txt", "--root", corpus / "val",
        *common, world / "even.txt", *cohort, "--cohort-root", corpus / "train",
        "--enrolled-by", world / "val.parquet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = table_rows(done.output)
    assert [row[0] for row in rows[:2]] == ["cosine of mean embeddings", "voxceleb_trainer"]
    assert [row[0] for row in rows[4:]] == ["enrolled by the teacher", "the teacher alone",
                                            "duration"]  # fmt: skip
    # A file has float32, the model gave float64 means.
    assert [row[:2] for row in rows[2:]] == [row[:2] for row in stored]
    # Its own embeddings as the teacher's: the same scores.
    assert rows[2][1] == rows[4][1] == rows[5][1]


def test_an_evaluation_shows_the_stored_thresholds_on_another_list(
    world: Path, tmp_path: Path
) -> None:
    model, val = tmp_path / "mixer.model", world / "corpus" / "val"
    model.write_bytes((world / "mixer.model").read_bytes())
    veer("calibrate", model, "--pairs", world / "even.txt", "--root", val, "--false-accepts", 20)
    done = veer("evaluate", model, "--pairs", world / "odd.txt", "--root", val)
    index, utterances = embedded(world, "val", "odd.txt")
    scores = utterances.cosines(index.a, index.b)
    *_, wanted = table_rows(done.output)
    stored = json.loads((tmp_path / "mixer.model.calibration.json").read_text())["points"][1]
    false_pct = 100 * (scores[~index.is_target] > stored["threshold"]).mean()
    assert wanted[0] == "20 % wanted"
    assert float(wanted[3]) == pytest.approx(false_pct, abs=1.1)  # a pair at rounding's distance
    # On its own list they would look as good as they were made.
    done = veer("evaluate", model, "--pairs", world / "even.txt", "--root", val)
    assert "at the thresholds of" not in done.output


def test_quality_measures_enter_the_calibration(world: Path) -> None:
    plain, with_magnitude = score(
        world / "odd.txt", world / "all.parquet", "--calibrate-on", world / "even.txt",
        "--quality", "magnitude",
    )  # fmt: skip
    (without,) = score(
        world / "odd.txt", world / "all.parquet", "--calibrate-on", world / "even.txt"
    )
    assert plain == without
    fits = []
    for listed in ("even.txt", "odd.txt"):
        index, utterances = embedded(world, "val", listed)
        sides = (index.a, index.b)
        scores = utterances.cosines(*sides)
        fits.append((with_quality(scores, utterances, sides, ("magnitude",)), index.is_target))
    (fitted, labels), (columns, target) = fits
    llr = fit_llr(fitted, labels).llr(columns)
    assert with_magnitude[:2] == [
        "cosine with magnitude", f"{equal_error_rate(llr, target):.2f}",
    ]  # fmt: skip
    assert with_magnitude[-2] == f"{cllr(llr, target):.4f}"


def test_a_teacher_of_another_size_is_refused(world: Path, tmp_path: Path) -> None:
    rows = pq.read_table(world / "val.parquet").to_pydict()
    short = {"utterance": rows["utterance"], "embedding": [e[:5] for e in rows["embedding"]]}
    pq.write_table(pa.table(short), tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match=r"of one size, got 24 of .* and 5 of .*t\.parq"):
        score(world / "odd.txt", world / "val.parquet", "--enrolled-by", tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match="durations are needed, and the file of embeddings"):
        score(world / "odd.txt", tmp_path / "t.parquet", "--by", "duration")


def test_wrong_options_are_refused(world: Path, tmp_path: Path) -> None:
    listed, file = world / "odd.txt", world / "val.parquet"
    with pytest.raises(ConfigError, match="--prior must be between 0 and 1, got 2"):
        score(listed, file, "--prior", 2)
    with pytest.raises(ConfigError, match="--quality enters a calibration"):
        score(listed, file, "--quality", "duration")
    with pytest.raises(ConfigError, match="--cohort is for AS-Norm: give --as-norm N"):
        score(listed, file, "--cohort", listed)
    with pytest.raises(ConfigError, match="--as-norm needs the speakers of a cohort"):
        score(listed, file, "--as-norm", 10)
    with pytest.raises(ConfigError, match=r"--as-norm needs a \.parquet of embeddings"):
        score(listed, tmp_path / "s.txt", "--as-norm", 10)
    with pytest.raises(ConfigError, match=r"val\.parquet: has no embedding of .*of 36 utt"):
        score(listed, file, "--as-norm", 10, "--cohort", world / "corpus" / "train_list.txt")
