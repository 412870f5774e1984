"""A run knows its lists and stores by their hashes, and goes on with no others."""

import hashlib
import os
import re

import pytest

from results.journal.journal import Journal, read_journal
from search.provenance.data_record import (
    changed_stores,
    corpus_facts,
    note_corpus,
    require_same_lists,
    require_same_stores,
    targets_device,
    validation_list_warnings,
)
from spaces.files.errors import RunError
from tests.worlds.journals import made_record
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data


@pytest.fixture
def config(make_corpus, tmp_path):
    return read_corpus_config(make_corpus(tmp_path / "corpus"))


@pytest.fixture
def load(config, tmp_path):
    return lambda: corpus_facts(config, load_training_data(config, cache_dir=tmp_path / "cache"))


def test_the_device_of_the_targets_is_known_once_there_are_some(load):
    facts = load()
    stores = facts["stores"] | {"targets of 200 frames, copy 0": "key"}
    on_gpu = made_record("corpus", **facts | {"stores": stores, "targets_device": "cuda"})
    on_cpu = made_record("corpus", **facts | {"stores": stores})
    found = [targets_device([made_record("corpus", **facts), *more]) for more in ([], [on_gpu])]
    assert found == [None, "cuda"]
    assert targets_device([on_cpu]) == "cpu"
    assert targets_device([]) is None


def test_lists_are_recorded_by_hash_and_counts(config, load):
    lists = load()["lists"]
    for role, file in (("train", config.train_list), ("val", config.val_list)):
        assert lists[role]["file"] == str(file)
        assert lists[role]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    lines = [line.split() for line in config.train_list.read_text().splitlines()]
    assert lists["train"]["num_utterances"] == len(lines)
    assert lists["train"]["num_speakers"] == len({speaker for speaker, _ in lines})
    pairs = [line.split() for line in config.val_list.read_text().splitlines()]
    paths = {path for _, *both in pairs for path in both}
    assert lists["val"]["num_trial_pairs"] == len(pairs)
    assert lists["val"]["num_utterances"] == len(paths)
    assert lists["val"]["num_speakers"] == len({path.split("/")[0] for path in paths})


def test_what_distorts_error_rates_is_in_the_warnings_of_a_search(config, tmp_path):
    first, *_ = config.val_list.read_text().splitlines()
    own = f"1 {first.split()[1]} {first.split()[1]}"
    with config.val_list.open("a") as file:
        file.write(f"{first}\n{own}\n")
    data = load_training_data(config, cache_dir=tmp_path / "cache")
    with_itself, repeats = validation_list_warnings(config, data, tmp_path / "cache")
    num_lines = len(data.val_is_target)
    assert f"veri_val.txt:{num_lines}: 1 of " in with_itself
    assert "target pairs are a file with itself" in with_itself
    assert f"veri_val.txt:{num_lines - 1}: 1 of {num_lines} lines repeat" in repeats


def test_a_list_that_has_changed_is_refused_by_name_with_both_hashes(config, load):
    records = [made_record("corpus", **load())]
    require_same_lists(config, records)
    first = hashlib.sha256(config.val_list.read_bytes()).hexdigest()[:12]
    lines = config.val_list.read_text().splitlines()
    config.val_list.write_text("\n".join(lines[::-1]) + "\n")
    now = hashlib.sha256(config.val_list.read_bytes()).hexdigest()[:12]
    message = (
        f"{config.val_list} is not the val list that this run began with (SHA-256 {first}, now "
        f"{now}); restore it, or begin another run"
    )
    with pytest.raises(RunError, match=re.escape(message)):
        require_same_lists(config, records)


def test_audio_that_has_changed_is_refused_by_its_store(config, load):
    facts = load()
    records = [made_record("corpus", **facts)]
    require_same_stores(load()["stores"], records)
    first = config.train_list.read_text().split()[1]
    os.utime(config.train_dir / first, ns=(1, 1))
    stores = load()["stores"]
    assert changed_stores(stores, records).keys() == {"train"}
    then, now = facts["stores"]["train"][:12], stores["train"][:12]
    with pytest.raises(RunError, match=rf"the store 'train' .* \(key {then}, now {now}\): audio"):
        require_same_stores(stores, records)


def test_a_run_from_before_the_corpus_was_recorded_is_not_refused(config, load):
    require_same_lists(config, [])
    require_same_stores(load()["stores"], [])


def test_the_corpus_is_journalled_once(load, tmp_path):
    facts = load()
    with Journal(tmp_path / "journal.jsonl") as journal:
        for _ in range(2):
            note_corpus(facts, journal, read_journal(tmp_path / "journal.jsonl"))
    [record] = read_journal(tmp_path / "journal.jsonl")
    assert record.stores.keys() == {"train", "val"}
    assert {name: record.as_dict()[name] for name in ("lists", "stores")} == facts
