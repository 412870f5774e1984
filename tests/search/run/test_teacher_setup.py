from pathlib import Path

import pytest
import torch

from results.journal.journal import Journal, read_journal
from search.config.search_config import SearchConfig
from search.run.teacher_scores import TeacherScorer, measure_teacher
from search.run.teacher_setup import (
    check_teacher,
    may_distil,
    prepare_search_teacher,
    require_teacher_fits,
    teacher_file,
)
from spaces.dimensions import Choice, Float, Integer
from spaces.files.errors import ConfigError, RunError, TrainingError
from spaces.files.yaml_file import write_yaml
from spaces.reading.space_file import read_space
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.loss.teacher_output import SpeakerCentres, TeacherFacts
from trainable.teachers.embedding_writing import EmbeddingWriter
from trainable.verification.inverted import require_above_chance


def never() -> bool:
    raise AssertionError("a file of embeddings needs no GPU")


LR = Float(name="training.lr", low=1e-4, high=1e-2)


@pytest.mark.parametrize(
    ("fixed", "choices", "expected"),
    [
        ({}, ("none",), False),
        ({}, ("none", "mse"), True),
        ({"loss": {"distillation": "none"}}, None, False),
        ({"loss": {"distillation": "cosine"}}, None, True),
        ({"loss": {"distillation": "cosine", "alpha": 0.0}}, None, False),
        ({}, None, True),
    ],
)
def test_space_may_distil_where_one_of_its_trials_can(fixed, choices, expected):
    choice = () if choices is None else (Choice(name="loss.distillation", choices=choices),)
    assert may_distil(Space(name="s", fixed=fixed, dimensions=(*choice, LR))) is expected


SPEAKERS = ("a", "b", "c")
STUDENT = {"family": "mlp_mixer", "hidden_dim": 8, "num_blocks": 1, "embedding_dim": 24}


def facts(**changed: object) -> TeacherFacts:
    centres = SpeakerCentres(weight_KD=torch.eye(24)[:3], scale=1.0, speakers=SPEAKERS)
    known = {"embedding_dim": 24, "centres": centres, "has_stages": True, "crop_frames": None}
    return TeacherFacts(**known | changed)


def space_of(*dimensions: object, **loss: object) -> Space:
    return Space(name="s", fixed={"model": STUDENT, "loss": loss}, dimensions=dimensions)


KINDS = Choice(name="loss.distillation", choices=("none", "mse", "kl"))
FEW = SpeakerCentres(weight_KD=torch.eye(24)[:2], scale=1.0, speakers=("a", "x"))


@pytest.mark.parametrize(
    ("space", "teacher", "message"),
    [
        (
            space_of(KINDS, LR),
            facts(centres=FEW),
            r"space s \(a trial with loss.distillation=kl\) does not fit teacher t: .* same "
            r"speakers: 1 \(x\) only the teacher's, 2 \(b, c\) only the student's",
        ),
        (space_of(KINDS), facts(centres=None), "distillation=kl.* needs the teacher's classif"),
        (space_of(distillation="dkd"), facts(centres=None), "space s does not fit .*'dkd' needs"),
        (
            space_of(LR, stages="cosine"),
            facts(has_stages=False),
            "does not fit teacher t: .* needs a teacher with stages",
        ),
        (
            Space(
                name="s",
                fixed={"model": {k: v for k, v in STUDENT.items() if k != "embedding_dim"}},
                dimensions=(
                    KINDS,
                    Integer(name="model.embedding_dim", low=24, high=48, step=24),
                ),
            ),
            facts(),
            r"distillation=mse, model.embedding_dim=48\) .* the teacher's \(24\), got 48",
        ),
        (space_of(), facts(crop_frames=150), r"stored crops \(150\), got 200"),
    ],
)
def test_a_space_with_a_trial_that_the_teacher_cannot_teach_is_refused(space, teacher, message):
    with pytest.raises(ConfigError, match=message):
        require_teacher_fits(space, teacher, SPEAKERS, Path("t"))


@pytest.mark.parametrize(
    ("space", "teacher"),
    [
        (space_of(KINDS, LR), facts()),
        (space_of(Choice(name="loss.distillation", choices=("none", "rkd"))), facts(centres=None)),
        (space_of(KINDS, alpha=0.0), facts(centres=None, embedding_dim=7)),
        (space_of(KINDS), facts(embedding_dim=None)),
    ],
)
def test_a_teacher_that_fits_every_trial_is_taken(space, teacher):
    require_teacher_fits(space, teacher, SPEAKERS, Path("t"))


def test_values_behind_a_condition_are_seen():
    space = space_of(
        Choice(name="model.expansion_factor", choices=(1, 2)),
        Choice(
            name="loss.stages", choices=("none", "cosine"), when={"model.expansion_factor": [2]}
        ),
    )
    message = r"with model.expansion_factor=2, loss.stages=cosine\) does not fit"
    with pytest.raises(ConfigError, match=message):
        require_teacher_fits(space, facts(has_stages=False), SPEAKERS, Path("t"))


class TestEmbeddingsAsTeacher:
    """What a search does with a teacher that has no network."""

    @pytest.fixture
    def settings(self, make_settings) -> SearchConfig:
        return make_settings()

    @pytest.fixture
    def data(self, settings, tiny_world) -> TrainingData:
        return load_training_data(settings.corpus, cache_dir=tiny_world / "cache")

    @pytest.fixture
    def file(self, data, tmp_path) -> Path:
        return self.write(tmp_path / "teacher.parquet", data.train_paths)

    def write(self, file: Path, paths: tuple[str, ...]) -> Path:
        generator = torch.Generator().manual_seed(0)
        emb_ND = torch.randn(len(paths), 32, generator=generator).numpy()
        with EmbeddingWriter(file, {}, 32) as writer:
            start_N = torch.zeros(len(paths), dtype=torch.int64).numpy()
            writer.write(paths, start_N, 80, emb_ND)
        return file

    @pytest.mark.parametrize("has_validation", [False, True])
    def test_its_veer_is_measured_where_the_file_has_the_utterances(
        self, settings, data, tmp_path, has_validation
    ):
        paths = data.train_paths + (data.val_paths if has_validation else ())
        file = self.write(tmp_path / "t.parquet", paths)
        space = read_space(settings.space, TrialConfig)
        check_teacher(file, data, space)
        with Journal(tmp_path / "journal.jsonl") as journal:
            scorer = TeacherScorer(settings=settings, connect_gpus=never, print_line=print)
            veer_pct = measure_teacher(file, data, scorer, 2, journal, ())
            records = read_journal(tmp_path / "journal.jsonl")
            assert measure_teacher(file, data, scorer, 2, journal, records) == veer_pct
        (record,) = records
        assert record.veer_pct == veer_pct
        assert record.num_params is None
        assert (veer_pct is not None) == has_validation
        self.write(file, data.train_paths[::-1])
        with pytest.raises(RunError, match="is not the teacher that this run began with"):
            measure_teacher(file, data, scorer, 2, None, records)

    def test_a_teacher_worse_than_chance_is_refused(self, data, file):
        scores = data.val_is_target.astype(float)
        require_above_chance(file, data, scores)
        with pytest.raises(TrainingError, match=r"teacher\.parquet: EER 100\.00 % .*swapped"):
            require_above_chance(file, data, -scores)

    def test_labels_are_refused_before_a_trial_starts(self, settings, data, file, tmp_path):
        text = settings.space.read_text().replace("mse, cosine, none", "mse, cosine, kl")
        (tmp_path / "space.yaml").write_text(text)
        space = read_space(tmp_path / "space.yaml", TrialConfig)
        with pytest.raises(ConfigError, match=r"teacher.parquet: loss.distillation 'kl' needs"):
            check_teacher(file, data, space)

    def test_a_plug_in_is_not_run_for_trials_that_it_cannot_teach(
        self, make_settings, data, tmp_path, monkeypatch
    ):
        (tmp_path / "trainer" / "models").mkdir(parents=True)
        (tmp_path / "trainer" / "models" / "X.py").write_text("")
        (tmp_path / "x.model").write_bytes(b"")
        plugin = tmp_path / "plugin.yaml"
        write_yaml(plugin, {"trainer": "trainer", "model": "X", "weights": "x.model"})
        settings = make_settings(teacher=plugin)
        space = read_space(settings.space, TrialConfig)
        with pytest.raises(ConfigError, match=r"plugin.yaml runs code of its own"):
            teacher_file(settings, space)
        monkeypatch.setattr("models.user_code.is_code_allowed", lambda: True)
        assert teacher_file(settings, space) == plugin
        # Its crops have 200 frames, the trials' 80.
        with pytest.raises(ConfigError, match=r"stored crops \(200\), got 80"):
            prepare_search_teacher(plugin, data, settings, space, tmp_path / "run")
        assert not (tmp_path / "run").exists()
