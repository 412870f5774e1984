"""Whatever a YAML file or a `--set` holds: a config comes out, or an error that names the file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.config.reading import check_suggested, read_search_config
from search.loop.setup import resolve
from spaces.files.errors import ConfigError, VeerError
from spaces.files.yaml_file import parse_yaml, read_yaml
from spaces.reading.space_file import bundled_spaces
from tests.fuzz.mutation import ODD_TEXTS, ODD_VALUES, fuzzed, yaml_texts
from trainable.config.reading import bundled_configs, read_trial_config, read_trial_space
from trainable.config.trial_config import read_train_config
from trainable.corpus.corpus import read_corpus_config
from trainable.foreign_models.plugin import read_plugin

CORPUS = {
    "train_dir": "wav",
    "train_list": "train_list.txt",
    "val_dir": "wav",
    "val_list": "veri_val.txt",
    "min_duration_s": 0.5,
    "augmentation": {"copies": 2, "musan_dir": "musan", "rir_dir": "rir"},
}
SEARCH = {
    "corpus": CORPUS,
    "teacher": "teacher",
    "targets": {"num_crops": 8},
    "space": "mixer",
    "num_trials": 64,
    "max_epochs": 100,
    "scheduler": {"kind": "asha", "grace_epochs": 9, "reduction_factor": 3},
    "sampler": "tpe",
    "success": {"baseline": 12, "target": 11},
    "stop_at": "target",
    "resources": {"cpu": 4, "gpu": 0.25},
    "engine": {"precision": "auto", "compile": False},
    "faults": {},
}
PLUGIN = {
    "trainer": ".",
    "model": "net",
    "weights": "w.model",
    "arguments": {"nOut": 512},
    "python": "/usr/bin/python3",
}
TRIALS = [read_yaml(bundled_configs()[name]).data for name in ("v2_cosine", "teacher_demo")]
TRAINING = {"corpus": CORPUS, "teacher": "t.model", "trial": TRIALS[0]}
SPACES = [read_yaml(bundled_spaces()[name]).data for name in ("mixer", "notes", "full")]


def refused_by_name(read: Callable[[Path], Any], file: Path, named: str = "it.yaml") -> None:
    """The file is read, or refused by an error of Veer's that names the file."""
    refusal = None
    try:
        read(file)
    except VeerError as error:
        refusal = str(error)
    if refusal is not None:
        assert named in refusal
        assert len(refusal) < 100_000


def written(folder: Path, content: bytes) -> Path:
    file = folder / "it.yaml"
    file.write_bytes(content)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@fuzzed(60)
@given(content=yaml_texts(SEARCH))
def test_search_settings(folder: Path, content: bytes) -> None:
    def read(file: Path) -> None:
        settings = read_search_config(file)
        resolve(settings, read_trial_space(settings.space))

    # Or the file that the settings name, which lies in the same folder.
    refused_by_name(read, written(folder, content), named="")


@fuzzed(60)
@given(content=st.sampled_from(TRIALS).flatmap(yaml_texts))
def test_trial_configs(folder: Path, content: bytes) -> None:
    refused_by_name(lambda file: read_trial_config(str(file)), written(folder, content))


@fuzzed(40)
@given(content=yaml_texts(TRAINING))
def test_training_runs(folder: Path, content: bytes) -> None:
    refused_by_name(read_train_config, written(folder, content))


@fuzzed(40)
@given(content=yaml_texts(CORPUS))
def test_corpora(folder: Path, content: bytes) -> None:
    refused_by_name(read_corpus_config, written(folder, content))


@fuzzed(40)
@given(content=yaml_texts(PLUGIN))
def test_plug_ins(folder: Path, content: bytes) -> None:
    refused_by_name(read_plugin, written(folder, content))


@fuzzed(60)
@given(content=st.sampled_from(SPACES).flatmap(yaml_texts))
def test_spaces(folder: Path, content: bytes) -> None:
    def read(file: Path) -> None:
        read_trial_space(file)
        check_suggested(file)

    refused_by_name(read, written(folder, content))


VALUES = st.sampled_from([*ODD_TEXTS, *map(str, ODD_VALUES)]) | st.text(max_size=20)
KEYS = st.sampled_from(["model", "model.hidden_dim", "loss.alpha", "seed", "a..b", ".", "trial"])


@fuzzed(60)
@given(key=KEYS | st.text(max_size=10), equals=st.sampled_from(["=", "", "=="]), value=VALUES)
def test_overrides(key: str, equals: str, value: str) -> None:
    def read(_: Path) -> None:
        read_trial_config("v2_cosine", [f"{key}{equals}{value}"])

    refused_by_name(read, Path(), named="")


def test_nothing_that_a_tag_names_is_called(tmp_path: Path) -> None:
    marker = tmp_path / "HACKED"
    for text in (
        f"a: !!python/object/apply:os.system ['touch {marker}']",
        f"!!python/object/apply:os.mkdir ['{marker}']",
        f"a: !!python/object/new:os.system ['touch {marker}']",
    ):
        with pytest.raises(ConfigError, match=r"it\.yaml:1"):
            read_yaml(written(tmp_path, text.encode()))
    assert not marker.exists()


def bomb(levels: int, width: int) -> str:
    """The billion laughs: each line names the one before it several times."""
    lines = ["a0: &a0 lol"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{names}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (bomb(30, 2), "more than 100,000 values"),
        (bomb(10, 10), "more than 100,000 values"),
        ("a: " + "[" * 100_000, "nested"),
        ("a: " + "[" * 100 + "]" * 100, "nested"),
        ("{a: " * 900, "nested"),
        ("a: " + "9" * 5000, "cannot read"),
        ("a: 0x" + "f" * 5000, "cannot read"),
        ("a: &a [*a]", "contains itself"),
        ("? !!str [a]\n: 1", "a key must be a word"),
        ("a: " + "x" * 2**21, "at most"),
    ],
    ids=["doubling", "laughs", "open", "deep", "mappings", "digits", "hex", "loop", "key", "size"],
)
def test_a_bomb_is_refused_at_once(tmp_path: Path, text: str, match: str) -> None:
    started_s = time.process_time()
    file = written(tmp_path, text.encode())
    with pytest.raises(ConfigError, match=match) as caught:
        read_yaml(file)
    assert str(caught.value).startswith(str(file))
    assert len(str(caught.value)) < 500 + len(str(file))
    assert time.process_time() - started_s < 5


def test_anchors_that_stand_for_little_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\n", Path("x")).data == {"a": [1, 2], "b": [1, 2]}
