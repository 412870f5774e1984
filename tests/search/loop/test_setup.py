"""A search put together from settings and space."""

from collections.abc import Callable
from pathlib import Path

import pytest

from results.journal.journal import Journal, read_journal
from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.guided.prior import Prior
from search.loop.setup import (
    config_maker,
    make_coordinator,
    record_start_points,
    resolve,
    start_points,
)
from search.suggest.suggestions import Suggestions
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import write_yaml
from spaces.space import Space
from trainable.config.reading import read_trial_space
from trainable.config.trial_config import TrialConfig

CORPUS = {"train_dir": "t", "train_list": "t.txt", "val_dir": "v", "val_list": "v.txt"}
WIDTHS = {"model": {"family": "mlp_mixer", "hidden_dim": {"choices": [16, 32, 64]}}}
FOUR = {
    "presets": ["v1_mse", "v2_large", "temperature_4_mse", "p4c_wide_shallow"],
    "search": {"sampler": "grid", "scheduler": {"kind": "none"}, "max_epochs": 2},
}
Prepared = tuple[SearchConfig, Space]


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Prepared]:
    """A function that gives the settings of a space, and the space."""

    def make(space: dict, **overrides) -> Prepared:
        write_yaml(tmp_path / "space.yaml", space)
        settings = read_search_config(
            None, {"corpus": write_corpus(tmp_path), "space": tmp_path / "space.yaml"} | overrides
        )
        return settings, read_trial_space(settings.space)

    return make


def write_corpus(folder: Path) -> Path:
    write_yaml(folder / "corpus.yaml", CORPUS)
    return folder / "corpus.yaml"


def run_all(settings: SearchConfig, space: Space, path: Path) -> list[TrialConfig]:
    """Every config that the search runs, one at a time; VEER by number of the trial."""
    with Journal(path) as journal:
        coordinator = make_coordinator(settings, space, journal)
        while (course := coordinator.next_trial()) is not None:
            for epoch in range(1, settings.max_epochs + 1):
                coordinator.report(course.trial, epoch, 30.0 - course.trial, {})
        assert coordinator.is_finished
    return [course.config for course in coordinator.trials]


def test_grid_of_presets_runs_each_config_once_and_keeps_every_row(prepare, tmp_path):
    settings, space = prepare(FOUR)
    settings = resolve(settings, space)
    assert settings.num_trials == 2
    configs = run_all(settings, space, tmp_path / "j")
    assert [config.loss.distillation for config in configs] == ["mse", "cosine"]
    assert [config.model.hidden_dim for config in configs] == [192, 256]
    repeated = [r for r in read_journal(tmp_path / "j") if r.event == "repeated"]
    assert [(r.params["preset"], r.same_as) for r in repeated] == [
        ("temperature_4_mse", 0),
        ("p4c_wide_shallow", 1),
    ]


def test_grid_runs_every_config_once(prepare, tmp_path):
    settings, space = prepare(
        {
            "model": {"family": "mlp_mixer", "hidden_dim": {"choices": [8, 16]}},
            "loss": {
                "distillation": {"choices": ["none", "cosine"]}, "alpha": {"choices": [0, 0.5]}
            },
        },
        sampler="grid", max_epochs=1, **{"scheduler.kind": "none"},
    )  # fmt: skip
    settings = resolve(settings, space)
    recipes = {config.recipe_hash() for config in run_all(settings, space, tmp_path / "journal")}
    # Two widths, each without distillation and with alpha 0.5; alpha 0 is no distillation.
    started = [r for r in read_journal(tmp_path / "journal") if r.event == "trial_started"]
    assert settings.num_trials == len(started) == len(recipes) == 4
    repeated = [r for r in read_journal(tmp_path / "journal") if r.event == "repeated"]
    assert len(repeated) == 2


def test_every_pass_of_a_grid_has_a_seed_that_its_trials_share(prepare, tmp_path):
    settings, space = prepare(FOUR, repetitions=3)
    settings = resolve(settings, space)
    configs = run_all(settings, space, tmp_path / "j")
    seeds = [config.seed for config in configs]
    assert len(seeds) == settings.num_trials == 6
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 3
    rows = [r.params["preset"] for r in read_journal(tmp_path / "j") if hasattr(r, "params")]
    assert rows == FOUR["presets"] * 3


def test_what_the_space_suggests_is_weaker_than_file_and_command_line(prepare):
    settings, _ = prepare(FOUR)
    assert (settings.sampler, settings.scheduler.kind, settings.max_epochs) == ("grid", "none", 2)
    settings, _ = prepare(FOUR, max_epochs=7, **{"scheduler.grace_epochs": 3})
    assert settings.max_epochs == 7
    assert (settings.scheduler.kind, settings.scheduler.grace_epochs) == ("none", 3)


@pytest.mark.parametrize(
    ("suggested", "message"),
    [
        ({"samplr": "tpe"}, r"space.yaml:6: search.samplr: a space cannot suggest it; did you "
                            r"mean 'sampler'\?"),
        ({"address": "x"}, r"search.address: a space cannot suggest it; valid: sampler, sched"),
        ({"max_epochs": 0}, r"space.yaml:6: max_epochs: must be greater .* got 0"),
    ],
)  # fmt: skip
def test_mistake_in_a_suggestion_is_placed_in_the_space_file(prepare, suggested, message):
    with pytest.raises(ConfigError, match=message):
        prepare(WIDTHS | {"search": suggested})


def test_number_of_trials_is_twelve_by_default(prepare):
    assert resolve(*prepare(WIDTHS)).num_trials == 12
    assert resolve(*prepare(WIDTHS, num_trials=5)).num_trials == 5
    assert resolve(*prepare(WIDTHS, sampler="grid")).num_trials == 3


def test_width_is_scaled_in_every_preset(prepare):
    settings, space = prepare(FOUR, width_scale=0.25)
    suggestions = Suggestions(space, kind="grid", seed=0)
    suggestion = suggestions.suggest()
    config = config_maker(settings)(suggestion)
    assert (config.model.hidden_dim, config.training.max_epochs) == (48, 2)
    assert config.loss.distillation == "mse"


def test_float16_is_refused_before_a_search_without_gpu(prepare):
    with pytest.raises(ConfigError, match="without a GPU, got float16 on the CPU"):
        resolve(*prepare(WIDTHS, **{"engine.precision": "float16"}))
    shared = {"engine.precision": "float16", "resources.gpu": 0.5}
    assert resolve(*prepare(WIDTHS, **shared)).engine.precision == "float16"


def test_width_is_not_both_varied_and_scaled(prepare):
    with pytest.raises(ConfigError, match=r"width_scale must be 1 .* varies model.hidden_dim, go"):
        resolve(*prepare(WIDTHS, width_scale=0.5))


def test_sampler_that_cannot_honour_the_space_is_refused(prepare):
    with pytest.raises(ConfigError, match=r"sampler 'gp' cannot honour early stopping"):
        resolve(*prepare(WIDTHS, sampler="gp"))


def test_repetitions_of_a_fixed_seed_are_refused(prepare):
    with pytest.raises(ConfigError, match=r"repetitions must be 1 where the space fixes .* got 3"):
        resolve(*prepare(WIDTHS | {"seed": 3}, repetitions=3))


def test_stop_at_names_a_criterion(prepare):
    success = {"target": 11.0, "stretch": 10.0}
    settings, _ = prepare(WIDTHS, success=success, stop_at="target")
    assert settings.target_pct == 11.0
    with pytest.raises(ConfigError, match=r"stop_at must be .* got 'targt'; did you mean 'targ"):
        prepare(WIDTHS, success=success, stop_at="targt")
    with pytest.raises(ConfigError, match=r"got 'target'; success has none"):
        prepare(WIDTHS, stop_at="target")


class TestStartPoints:
    SPACE = WIDTHS | {"start_from": ["v2_cosine", "no_distillation"]}

    def test_points_are_tried_first_and_changed_values_are_reported(self, prepare, tmp_path):
        settings, space = prepare(self.SPACE)
        lines: list[str] = []
        with Journal(tmp_path / "j") as journal:
            found = start_points(space, settings.space, ())
            points = record_start_points(found, journal, (), lines.append)
            prior = Prior(first=points)
            coordinator = make_coordinator(resolve(settings, space), space, journal, prior=prior)
            first = coordinator.next_trial()
        assert points == [{"model.hidden_dim": 64}] * 2
        assert first.suggestion.params == {"model.hidden_dim": 64}
        assert lines[0].startswith("start from v2_cosine: model.hidden_dim 192 -> 64, the nearest")
        assert any("no_distillation: loss.distillation" in line for line in lines)

    def test_resumed_search_begins_with_the_points_of_its_first_start(self, prepare, tmp_path):
        settings, space = prepare(self.SPACE)
        with Journal(tmp_path / "j") as journal:
            points = start_points(space, settings.space, ())
            record_start_points(points, journal, (), print)
            settings, other = prepare(WIDTHS | {"start_from": ["v1_mse"]})
            records = read_journal(tmp_path / "j")
            assert start_points(other, settings.space, records) == points
            record_start_points(points, journal, records, print)

    def test_mistake_is_placed_in_the_space_file(self, prepare):
        settings, space = prepare(WIDTHS | {"start_from": ["v1_mse", "v2_cosin"]})
        with pytest.raises(ConfigError, match=r"space.yaml:\d: start_from\[1\]: .* did you mean"):
            start_points(space, settings.space, ())

    def test_paths_count_from_the_folder_of_the_space(self, prepare, tmp_path, monkeypatch):
        monkeypatch.chdir("/")
        write_yaml(tmp_path / "mine.yaml", {"model": {"family": "mlp_mixer", "hidden_dim": 32}})
        settings, space = prepare(WIDTHS | {"start_from": ["mine.yaml"]})
        [point] = start_points(space, settings.space, ())
        assert point.params == {"model.hidden_dim": 32}

    def test_points_are_noted_once(self, prepare, tmp_path):
        settings, space = prepare(self.SPACE)
        with Journal(tmp_path / "j") as journal:
            for _ in range(2):
                records = read_journal(tmp_path / "j")
                points = start_points(space, settings.space, records)
                record_start_points(points, journal, records, print)
        assert sum(r.event == "start_points" for r in read_journal(tmp_path / "j")) == 1


def test_earlier_runs_teach_only_the_guided_sampler(prepare):
    with pytest.raises(ConfigError, match=r"learn_from needs sampler guided, got 'random'"):
        resolve(*prepare(WIDTHS, learn_from=["runs/first"], sampler="random"))


def test_paths_of_earlier_runs_are_resolved(prepare):
    settings, _ = prepare(WIDTHS, learn_from=["runs/first"], sampler="guided")
    assert settings.learn_from == (Path.cwd() / "runs/first",)
    with pytest.raises(ConfigError, match=r"learn_from.*got 'runs/first'"):
        prepare(WIDTHS, learn_from="runs/first", sampler="guided")
