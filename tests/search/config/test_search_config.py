from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.config.reading import differing_keys, read_search_config
from search.config.search_config import BUNDLED_SETTINGS, SearchConfig
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import read_yaml, write_yaml
from spaces.reading.space_file import bundled_spaces

CORPUS = {"train_dir": "t", "train_list": "t.txt", "val_dir": "v", "val_list": "v.txt"}


@pytest.fixture
def folder(tmp_path):
    write_yaml(tmp_path / "corpus.yaml", CORPUS)
    write_yaml(
        tmp_path / "search.yaml",
        {"corpus": "corpus.yaml", "space": "demo", "teacher": "teacher", "resources": {"cpu": 2}},
    )
    return tmp_path


def test_paths_count_from_the_files_folder(folder, monkeypatch):
    monkeypatch.chdir("/")
    settings = read_search_config(folder / "search.yaml")
    assert settings.teacher == folder / "teacher"
    assert settings.corpus.train_list == folder / "t.txt"
    assert settings.space == bundled_spaces()["demo"]


def test_paths_of_the_command_line_count_from_the_working_folder(folder, monkeypatch):
    (folder / "here").mkdir()
    monkeypatch.chdir(folder / "here")
    settings = read_search_config(folder / "search.yaml", {"teacher": Path("other")})
    assert settings.teacher == folder / "here" / "other"


def test_command_line_wins_and_leaves_the_rest(folder):
    settings = read_search_config(
        folder / "search.yaml", {"resources.gpu": 0.5, "num_trials": 3, "scheduler.kind": "none"}
    )
    assert (settings.resources.cpu, settings.resources.gpu) == (2, 0.5)
    assert (settings.num_trials, settings.scheduler.kind) == (3, "none")
    assert settings.scheduler.grace_epochs == "auto"


@pytest.mark.parametrize(("given", "read"), [("auto", "auto"), ("0.25", 0.25), (2, 2.0)])
def test_gpus_are_a_number_or_auto(folder, given, read):
    settings = read_search_config(folder / "search.yaml", {"resources.gpu": given})
    assert settings.resources.gpu == read
    write_yaml(folder / "resolved.yaml", settings.model_dump(mode="json"))
    assert read_search_config(folder / "resolved.yaml") == settings


def test_device_cuda_may_find_its_share_by_itself(folder):
    overrides = {"resources.gpu": "auto", "device": "cuda"}
    assert read_search_config(folder / "search.yaml", overrides).device == "cuda"


@pytest.mark.parametrize(("given", "read", "first"), [("auto", "auto", 1), ("9", 9, 9), (3, 3, 3)])
def test_grace_epochs_are_a_number_or_auto(folder, given, read, first):
    settings = read_search_config(folder / "search.yaml", {"scheduler.grace_epochs": given})
    assert (settings.scheduler.grace_epochs, settings.scheduler.first_rung) == (read, first)
    write_yaml(folder / "resolved.yaml", settings.model_dump(mode="json"))
    assert read_search_config(folder / "resolved.yaml") == settings


def test_figure_that_decides_is_that_of_dprime_by_default_and_one_of_four(folder):
    assert read_search_config(folder / "search.yaml").decide_by == "dprime"
    settings = read_search_config(folder / "search.yaml", {"decide_by": "dprime"})
    assert settings.decide_by == "dprime"
    with pytest.raises(ConfigError, match=r"decide_by: .*'veer', 'mean_of_last_k', .*'dprim'"):
        read_search_config(folder / "search.yaml", {"decide_by": "dprim"})


def test_resolved_settings_read_back_equal(folder):
    settings = read_search_config(folder / "search.yaml", {"time_limit_s": 1e-3})
    write_yaml(folder / "resolved.yaml", settings.model_dump(mode="json"))
    assert read_search_config(folder / "resolved.yaml") == settings


def test_defaults_are_the_documented_ones(folder):
    settings = read_search_config(folder / "search.yaml")
    scheduler = settings.scheduler
    assert (scheduler.kind, scheduler.grace_epochs, scheduler.reduction_factor) == (
        "asha", "auto", 3,
    )  # fmt: skip
    assert (settings.sampler, settings.decide_by) == ("guided", "dprime")
    assert (settings.seed, settings.device) == (0, "auto")


def test_every_setting_is_described():
    models = [SearchConfig]
    for model in models:
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, SearchConfig.__mro__[1]):
                models.append(inner)
            else:
                assert field.description, name
    assert len(models) == 6


@pytest.mark.parametrize("name", [path.stem for path in BUNDLED_SETTINGS.glob("*.yaml")])
def test_bundled_settings_need_a_corpus_and_a_teacher_only(name, folder):
    settings = read_search_config(
        name, {"corpus": folder / "corpus.yaml", "teacher": folder / "teacher"}
    )
    assert settings.scheduler.first_rung <= settings.max_epochs


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_trials", 0, r"search.yaml:5: num_trials: must be greater than or equal to 1, got 0"),
        ("start_from", ["v1"],
         r"search.yaml:5: start_from: unknown key; it is a key of the space file"),
        ("grace_epochs", 3,
         r"search.yaml:5: grace_epochs: unknown key; did you mean 'scheduler.grace_epochs'\?"),
        ("num_trials", True, r"search.yaml:5: num_trials: must be a number, got true"),
        ("learn_from", "run", r"search.yaml:5: learn_from: must be a list, such as \[a, b\], got"),
        ("num_trails", 9, r"search.yaml:5: num_trails: unknown key; did you mean 'num_trials'\?"),
        ("sampler", "tpo", r"search.yaml:5: sampler: must be 'guided', .* got 'tpo'; did you"),
        ("resources", {"gpu": "atuo"}, r"to 64, or auto, got 'atuo'; did you mean 'auto'"),
        ("scheduler", {"grace_epochs": 0}, r"number from 1 to 100,000, or auto, got 0$"),
        ("scheduler", {"grace_epochs": 2.5}, r"number from 1 to 100,000, or auto, got 2.5$"),
        ("scheduler", {"grace_epochs": "aut"}, r"got 'aut'; did you mean 'auto'\?$"),
        ("scheduler", {"grace_epochs": None}, r"from 1 to 100,000, or auto, got None$"),
        ("resources", {"gpu": -1}, r"must be 0, a number from 0.0001 to 64, or auto, got -1"),
        ("resources", {"gpu": 0.00001}, r"must be 0, a number from 0.0001 to 64, .* got 1e-05"),
        ("resources", {"cpu": 0.00001}, r"cpu: must be greater .* equal to 0.0001, got 1e-05"),
        ("resources", {"gpu": "true"}, r"from 0.0001 to 64, or auto, got 'true'$"),
        ("resources", {"gpu": 65}, r"must be 0, a number from 0.0001 to 64, or auto, got 65"),
        ("resources", {"gpu": True}, r"must be 0, a number from 0.0001 to 64, or auto, got True"),
        ("resources", {"gpu": None}, r"must be 0, a number from 0.0001 to 64, or auto, got None"),
        ("resources", {"gpu": 1.5}, r"gpu must be at most 1 or a whole number, got 1.5"),
        ("device", "cuda", r"device cuda needs resources.gpu above 0, got 0"),
        ("benchmark_top", 4, r"got benchmark_top=4, keep_best=3"),
        ("benchmark_forms", ["onx"], r"must be .*onnx.*, got 'onx'"),
        ("repeat", -1, r"repeat: must be greater .* equal to 0, got -1"),
        ("space", "mixxer", r"space must be .* got 'mixxer'; did you mean 'mixer'\?"),
    ],
)
def test_mistake_in_a_file_is_placed(folder, key, value, message):
    data = {"corpus": CORPUS, "space": "demo"} | {key: value}
    write_yaml(folder / "search.yaml", data)
    lines = (folder / "search.yaml").read_text()
    message = message.replace("yaml:5", f"yaml:{lines[: lines.index(key)].count(chr(10)) + 1}")
    with pytest.raises(ConfigError, match=message):
        read_search_config(folder / "search.yaml")


def test_error_names_the_command_line_as_the_source_of_a_mistake(folder):
    with pytest.raises(ConfigError, match=r"command line: max_epochs: must be greater .* got 0"):
        read_search_config(folder / "search.yaml", {"max_epochs": 0})


def test_unknown_name_of_settings_names_the_nearest():
    with pytest.raises(ConfigError, match=r"got 'demmo'; did you mean 'demo'\?"):
        read_search_config("demmo")


def test_what_a_resumed_search_may_change_does_not_differ(folder):
    one = read_search_config(folder / "search.yaml")
    other = read_search_config(
        folder / "search.yaml", {"num_trials": 99, "resources.cpu": 4, "max_concurrent": 3}
    )
    assert differing_keys(one, other) == []


def test_follow_ups_may_be_asked_for_later(folder):
    one = read_search_config(folder / "search.yaml")
    given = {"repeat": 3, "finalists": 2, "control": 5}
    other = read_search_config(folder / "search.yaml", given)
    assert differing_keys(one, other) == []
    plan = other.follow_ups
    assert (plan.repeat, plan.finalists, plan.control, plan.seed) == (3, 2, 5, other.seed)
    assert (plan.max_trials, plan.is_any, one.follow_ups.is_any) == (11, True, False)


def test_only_those_whose_weights_are_kept_are_repeated(folder):
    with pytest.raises(ConfigError, match=r"at most keep_best, .* got finalists=4, keep_best=3"):
        read_search_config(folder / "search.yaml", {"repeat": 1, "finalists": 4})
    assert read_search_config(folder / "search.yaml", {"finalists": 4}).repeat == 0


def test_a_resumed_search_keeps_its_engine(folder):
    one = read_search_config(folder / "search.yaml")
    other = read_search_config(folder / "search.yaml", {"engine.precision": "bfloat16"})
    assert differing_keys(one, other) == ["engine"]


def test_differing_settings_are_named(folder):
    one = read_search_config(folder / "search.yaml")
    other = read_search_config(
        folder / "search.yaml", {"seed": 1, "scheduler.grace_epochs": 3, "space": "mixer"}
    )
    assert differing_keys(one, other) == ["space", "scheduler", "seed"]


def test_copy_of_a_space_is_the_same_space(folder):
    one = read_search_config(folder / "search.yaml")
    write_yaml(folder / "space.yaml", read_yaml(one.space).data)
    other = read_search_config(folder / "search.yaml", {"space": folder / "space.yaml"})
    assert differing_keys(one, other) == []


def test_help_names_every_option():
    from search.cli.app import app

    shown = CliRunner().invoke(app, ["search", "--help"], env={"COLUMNS": "160"}).output
    for option in ("--run", "--teacher", "--grace-epochs", "--time-limit-s", "--gpu"):
        assert option in shown
    for command in ("search", "resume"):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "160"}).output
        for option in ("--total-epochs", "--repeat", "--finalists", "--control"):
            assert option in shown


def test_a_criterion_of_the_command_line_is_not_blamed_on_the_file(folder):
    message = r"search\.yaml with stop_at from the command line: stop_at must be a criterion"
    with pytest.raises(ConfigError, match=message):
        read_search_config(folder / "search.yaml", {"stop_at": "x"})


def test_a_fault_of_the_file_beside_the_command_lines_is_the_files(folder):
    data = read_yaml(folder / "search.yaml").data | {"resources": {"cpu": 0}}
    write_yaml(folder / "bad.yaml", data)
    with pytest.raises(ConfigError, match=r"bad\.yaml:\d+: resources\.cpu: .*got 0"):
        read_search_config(folder / "bad.yaml", {"resources.gpu": 0.5})


class TestObjective:
    @pytest.mark.parametrize(
        ("given", "goals"),
        [
            ("veer", ("veer",)),
            ("veer, cpu_latency", ("veer", "cpu_latency")),
            (["params", "veer", "macs"], ("params", "veer", "macs")),
        ],
    )
    def test_goals_are_a_list_or_text(self, folder, given, goals):
        settings = read_search_config(folder / "search.yaml", {"objective": given})
        assert settings.objective == goals
        write_yaml(folder / "resolved.yaml", settings.model_dump(mode="json"))
        assert read_search_config(folder / "resolved.yaml") == settings

    def test_several_goals_have_tpe_unless_a_sampler_is_given(self, folder):
        def sampler(**given):
            return read_search_config(folder / "search.yaml", given).sampler

        assert sampler() == sampler(objective="veer") == "guided"
        assert sampler(objective="veer,params") == "tpe"
        assert sampler(objective="veer,params", sampler="random") == "random"
        # It is refused later, where the space is known too.
        assert sampler(objective="veer,params", sampler="guided") == "guided"

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("params", r"must have veer, and each goal once, got params"),
            ("veer,veer", r"each goal once, got veer, veer"),
            ("veer,params,macs,cpu_latency", r"at most 3 goals, got 4"),
            ("veer,latency", r"objective: must be .*'latency'; did you mean 'cpu_latency'"),
        ],
    )
    def test_other_goals_are_refused(self, folder, given, message):
        with pytest.raises(ConfigError, match=message):
            read_search_config(folder / "search.yaml", {"objective": given})
