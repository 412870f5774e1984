"""Copies of training utterances in the validation list, found without reading audio again."""

import shutil
from pathlib import Path

import pytest

from spaces.files.errors import CorpusError
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import (
    load_training_data,
    reopen_training_data,
    reopening_keys,
)


def test_a_copy_under_another_name_is_refused_when_a_run_starts(make_corpus, tmp_path: Path):
    config = read_corpus_config(make_corpus(tmp_path, num_utterances=2))
    train, val = (sorted(each.glob("*/*/*.wav")) for each in (config.train_dir, config.val_dir))
    data = load_training_data(config, cache_dir=tmp_path / "cache")
    shutil.copyfile(train[3], val[1])
    shutil.copyfile(train[3], val[2])
    with pytest.raises(CorpusError, match=r"2 of the 8 recordings of this list are also in") as e:
        load_training_data(config, cache_dir=tmp_path / "cache")
    source = train[3].relative_to(config.train_dir)
    assert f"which is {source} in {config.train_list}:4" in str(e.value)
    # A worker opens what the driver has checked.
    keys = reopening_keys(config, data)
    assert reopen_training_data(config, keys).val_paths == data.val_paths
