"""Every kind of file that Veer reads, with every kind of damage: named, or without consequence."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from results.journal.journal import Journal, read_journal
from results.records.trial_records import EpochEnded, TrialStarted
from spaces.files.errors import StoreError, VeerError
from spaces.files.yaml_file import read_yaml, write_yaml
from spaces.reading.space_file import read_space
from tests.damage import DAMAGES
from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_models import TINY_MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import load_classifier, load_speaker_model
from trainable.config.trial_config import TrialConfig, read_train_config
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.foreign_models.plugin import read_plugin
from trainable.store.folder import open_complete
from trainable.store.verifying import verify_store
from trainable.teachers.embedding_file import read_embeddings
from trainable.teachers.embedding_writing import EmbeddingWriter
from trainable.training.trainer import Trainer


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


def missing(file: Path) -> None:
    file.unlink()


ALL_DAMAGES = DAMAGES | {"a folder": folder_in_its_place, "missing": missing}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes:
        file: Below the workplace.
        read: Reads it as Veer does; what it returns can be compared.
        is_sealed: Whether every change to it must be noticed; a user's own YAML or list may hold
            other values and still be valid.
        named: What an error must name; the file itself unless given.
    """

    file: str
    read: Callable[[Path], Any]
    is_sealed: bool
    named: str | None = None


def weights_of(file: Path) -> list[float]:
    weights = load_speaker_model(file).model.state_dict()
    return [float(x) for each in weights.values() for x in each.ravel()]


def centres_of(file: Path) -> list[float]:
    centres_KD = load_classifier(file).centres_KD
    assert centres_KD is not None
    return [float(x) for x in centres_KD.ravel()]


def embeddings_of(file: Path) -> list[float]:
    table = read_embeddings(file, [f"u{number}" for number in range(40)])
    return [*table.start_N.tolist(), *table.embedding_ND.ravel().tolist()]


def store_of(file: Path) -> object:
    """Opened, and read in full, as `veer data build --verify` does."""
    store = open_complete(file.parent)
    if damages := verify_store(file.parent):
        raise StoreError("; ".join(damages))
    return [shard.vectors_NW.tobytes() for shard in store.shards]


KINDS = {
    "model file": Kind(file="run/model/model000000001.model", read=weights_of, is_sealed=True),
    "classifier": Kind(file="run/model/model000000001.model", read=centres_of, is_sealed=True),
    "journal": Kind(file="journal.jsonl", read=read_journal, is_sealed=True),
    "embeddings": Kind(file="teacher.parquet", read=embeddings_of, is_sealed=True),
    "shard": Kind(file="store/features-00000.arrow", read=store_of, is_sealed=True),
    "manifest": Kind(file="store/manifest.json", read=store_of, is_sealed=True, named="store"),
    "space": Kind(
        file="space.yaml", read=lambda file: read_space(file, TrialConfig), is_sealed=False
    ),
    "training config": Kind(file="train.yaml", read=read_train_config, is_sealed=False),
    "corpus": Kind(file="corpus/corpus.yaml", read=read_corpus_config, is_sealed=False),
    "train list": Kind(
        file="corpus/train_list.txt",
        read=lambda file: read_corpus(read_corpus_config(file.with_name("corpus.yaml"))),
        is_sealed=False,
    ),
    "validation list": Kind(
        file="corpus/veri_val.txt",
        read=lambda file: read_corpus(read_corpus_config(file.with_name("corpus.yaml"))),
        is_sealed=False,
    ),
    "plug-in": Kind(file="plugin.yaml", read=read_plugin, is_sealed=False),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of every kind."""
    folder = tmp_path_factory.mktemp("whole")
    corpus = read_corpus_config(write_corpus(folder / "corpus"))
    data = load_training_data(corpus, cache_dir=folder / "cache")
    store = next(folder.glob("cache/features-*/"))
    store.rename(folder / "store")
    trainer = Trainer(TrialConfig.model_validate(TINY_MIXER), data, device=torch.device("cpu"))
    trainer.run_epoch()
    CheckpointFolder(folder / "run").save(trainer)
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(
            TrialStarted(trial=0, params={}, config=TINY_MIXER, config_hash="ab", seed=0)
        )
        for epoch in range(1, 20):
            journal.append(EpochEnded(trial=0, epoch=epoch, veer_pct=30.0 - epoch))
    rng = np.random.default_rng(0)
    with EmbeddingWriter(folder / "teacher.parquet", {"made": "here"}, 16) as out:
        emb_ND = rng.standard_normal((40, 16)).astype(np.float32)
        out.write([f"u{number}" for number in range(40)], np.arange(40), 40, emb_ND)
    write_yaml(folder / "space.yaml", TINY_MIXER | {"seed": {"low": 0, "high": 9}})
    own = corpus.model_dump(mode="json")
    write_yaml(folder / "train.yaml", {"corpus": own, "trial": TINY_MIXER})
    write_yaml(folder / "plugin.yaml", {"trainer": "nowhere", "model": "X"})
    return folder


@pytest.fixture
def workplace(whole: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of them to damage."""
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("cache"))
    yield folder
    shutil.rmtree(folder)


class TestDamage:
    """A contract: a Veer error that names the file, or the content of the whole file."""

    @pytest.mark.parametrize("damage", ALL_DAMAGES)
    @pytest.mark.parametrize("name", KINDS)
    def test_a_damaged_file_is_named_or_does_no_harm(
        self, workplace: Path, name: str, damage: str
    ) -> None:
        kind = KINDS[name]
        file = workplace / kind.file
        expected = None if name == "plug-in" else kind.read(file)
        ALL_DAMAGES[damage](file)
        try:
            found = kind.read(file)
        except VeerError as error:
            assert (kind.named or file.name) in str(error)  # noqa: PT017
            assert len(str(error)) > len(str(file)) + 15  # noqa: PT017 - it names what is wrong
        else:
            # A journal whose end is gone is the journal as it once was.
            is_before = name == "journal" and found == expected[: len(found)]
            assert not kind.is_sealed or found == expected or is_before

    @pytest.mark.parametrize("name", [n for n, kind in KINDS.items() if kind.is_sealed])
    def test_no_flipped_bit_leads_to_another_result(self, workplace: Path, name: str) -> None:
        kind = KINDS[name]
        file = workplace / kind.file
        expected, content = kind.read(file), file.read_bytes()
        rng = random.Random(0)
        for _ in range(25):
            flipped = bytearray(content)
            flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            file.write_bytes(flipped)
            try:
                found = kind.read(file)
            except VeerError:
                continue
            # A journal's last line end tears off its last line: it never took effect.
            assert found == expected or (name == "journal" and found == expected[:-1])

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    @pytest.mark.parametrize("name", KINDS)
    def test_a_file_that_may_not_be_read_is_named(self, workplace: Path, name: str) -> None:
        kind = KINDS[name]
        file = workplace / kind.file
        file.chmod(0)
        with pytest.raises(VeerError, match=kind.named or file.name):
            kind.read(file)


def test_an_altered_plan_of_a_store_without_manifest_is_computed_again(
    whole: Path, tmp_path: Path
) -> None:
    corpus = read_corpus_config(whole / "corpus" / "corpus.yaml")
    expected = load_training_data(corpus, cache_dir=tmp_path).features.length.tolist()
    for store in tmp_path.glob("features-*/"):
        (store / "manifest.json").unlink()
        (store / "plan.json").write_bytes(b"\0" * 100)
        next(store.glob("*.arrow")).write_bytes(b"ARROW1")
    again = load_training_data(corpus, cache_dir=tmp_path)
    assert again.features.length.tolist() == expected


def test_yaml_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VeerError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
