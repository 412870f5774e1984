"""`veer data build`, `info` and `prune`."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from search.cli import console as screen
from search.cli import store as store_cli
from search.cli.data import app
from spaces.files.errors import ConfigError, StoreError
from tests.worlds.small_store import flip_byte
from trainable.store import plan as sizes
from trainable.store.lock import use_store
from trainable.teachers.any_teacher import find_teacher
from trainable.teachers.target_shard import log_mels_of

runner = CliRunner()


@pytest.fixture
def corpus(
    make_corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    return make_corpus(tmp_path / "corpus", num_utterances=2)


@pytest.fixture
def teacher(tiny_world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if "VEER_CACHE" not in os.environ:
        monkeypatch.setenv("VEER_CACHE", str(tiny_world / "cache"))
    return find_teacher(tiny_world / "teacher")


def run(*arguments: str | Path | int, answer: str | None = None) -> str:
    result = runner.invoke(
        app, [str(argument) for argument in arguments], input=answer, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def store(tmp_path: Path, list_name: str = "train_list.txt") -> Path:
    """The one store of log-mels of a list."""
    plans = (tmp_path / "cache").glob("features-*/plan.json")
    (plan,) = (plan for plan in plans if f"{list_name}\"" in plan.read_text())
    return plan.parent


def test_build_then_info(corpus: Path, tmp_path: Path) -> None:
    assert "20 utterances are ready" in run("build", corpus)
    output = run("info")
    for name, num_utterances in (("train_list.txt", 12), ("veri_val.txt", 8)):
        folder = store(tmp_path, name)
        size = sum(file.stat().st_size for file in folder.iterdir())
        assert re.search(rf"{folder.name}  +log-mels  +{size:,} bytes  +0\.0", output)
        assert re.search(rf"complete  +.*{name} +1 shard ", output)
        # Of 1 s and a frame more each: 12.12 s and 8.08 s.
        assert f"{num_utterances} utterances, 0.00 hours" in output
    assert run("info", corpus) == output


def test_targets_are_built_and_shown_with_what_they_are_of(
    teacher: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    corpus = tiny_world / "corpus" / "corpus.yaml"
    bank = ("--crops", "3", "--crop-frames", "80", "--crop-seed", "5")
    run("build", corpus, "--teacher", teacher, *bank)
    sha256 = hashlib.sha256(teacher.read_bytes()).hexdigest()
    # 30 training utterances of 101 frames have more than 3 places for a crop of 80.
    description = f"targets of teacher {sha256[:12]}, 3 crops of 80 frames, seed 5"
    for output in (run("info"), run("info", corpus), run("info", corpus, "--teacher", teacher)):
        assert description in output
        assert "30 utterances, 90 crops" in output
        assert "30 utterances, 0.01 hours" in output
        assert "20 utterances, 0.01 hours" in output
    assert "3 verified: no damage" in run("info", "--verify")
    (targets,) = (tmp_path / "cache").glob("targets-*")
    flip_byte(targets / "targets-00000.arrow", 5_000)
    with pytest.raises(StoreError, match=r"targets-00000\.arrow: CRC-32 of id0000\d/.* must be"):
        run("info", corpus, "--verify")


def test_eighty_columns_show_every_number_whole(
    teacher: Path, tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))  # what other tests built counts too
    for module in (store_cli, screen):
        monkeypatch.setattr(module, "console", Console(width=80, force_terminal=False))
    run("build", tiny_world / "corpus" / "corpus.yaml", "--teacher", teacher)
    lines = run("info", tiny_world / "corpus" / "corpus.yaml").splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert sum(bool(re.search(r"\d bytes +0\.0", line)) for line in lines) == 3


def test_only_a_network_can_be_asked(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bank\.parquet: a file of embeddings already has"):
        run("build", corpus, "--teacher", "bank.parquet")
    with pytest.raises(ConfigError, match=r"mine\.yaml: a plug-in is run by the"):
        run("build", corpus, "--teacher", "mine.yaml")
    assert not (tmp_path / "cache").exists()


def test_info_of_a_teacher_without_targets_is_an_error(corpus: Path, teacher: Path) -> None:
    run("build", corpus)
    message = (
        rf"has no targets of {teacher} for its current lists; "
        rf"veer data build {corpus} --teacher"
    )
    with pytest.raises(StoreError, match=message):
        run("info", corpus, "--teacher", teacher)
    with pytest.raises(ConfigError, match=rf"--teacher {teacher} needs CORPUS\.yaml"):
        run("info", "--teacher", teacher)


def test_info_of_a_corpus_without_stores_is_an_error(corpus: Path) -> None:
    with pytest.raises(StoreError, match=r"has no log-mels for its current lists; veer data"):
        run("info", corpus)


def test_info_names_what_is_damaged_and_leaves_it(corpus: Path, tmp_path: Path) -> None:
    run("build", corpus)
    assert "2 verified: no damage" in run("info", "--verify")
    path = store(tmp_path) / "features-00000.arrow"
    flip_byte(path, path.stat().st_size // 2)
    damaged = path.read_bytes()
    message = r"00000\.arrow: CRC-32 of .*\n`veer data build CORPUS\.yaml --verify` rebuilds only"
    with pytest.raises(StoreError, match=message):
        run("info", "--verify")
    with pytest.raises(StoreError, match=rf"\n`veer data build {corpus} --verify` rebuilds"):
        run("info", corpus, "--verify")
    assert path.read_bytes() == damaged


def test_build_rebuilds_only_what_it_finds_damaged(
    teacher: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sizes, "MIN_SHARD_BYTES", 1)
    monkeypatch.setattr(sizes, "MIN_SHARDS", 3)
    build = ("build", tiny_world / "corpus" / "corpus.yaml", "--teacher", teacher, "--workers", 1)
    run(*build)
    before = shards(tmp_path)
    assert len(before) == 9  # of training, validation and targets
    output = run(*build, "--verify")
    assert "features: 2 verified, no damage" in output
    assert "targets: 1 verified, no damage" in output
    assert shards(tmp_path) == before
    (targets,) = (tmp_path / "cache").glob("targets-*")
    damaged = (store(tmp_path) / "features-00001.arrow", targets / "targets-00002.arrow")
    for path in damaged:
        flip_byte(path, path.stat().st_size // 2)
        os.utime(path, (1, 1))
    # A process keeps the log-mels that its last shard of targets was made from mapped.
    log_mels_of.cache_clear()
    output = run(*build, "--verify")
    named = re.findall(r"(\S+): CRC-32 of .* must be \d+, got \d+; this shard is rebuilt", output)
    assert named == [str(path) for path in damaged]
    after = shards(tmp_path)
    assert {path for path in before if after[path][1] != before[path][1]} == set(damaged)
    assert {path: content for path, (content, _) in after.items()} == {
        path: content for path, (content, _) in before.items()
    }
    assert "3 verified: no damage" in run("info", "--verify")


def shards(tmp_path: Path) -> dict[Path, tuple[bytes, int]]:
    """Content of each shard, and when it was written, nanoseconds."""
    files = sorted((tmp_path / "cache").glob("*/*.arrow"))
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_prune_asks_and_reports_what_it_freed(corpus: Path, tmp_path: Path) -> None:
    run("build", corpus)
    assert "nothing to remove" in run("prune", "--yes")
    (store(tmp_path) / "manifest.json").unlink()
    size = sum(file.stat().st_size for file in store(tmp_path).iterdir())
    declined = runner.invoke(app, ["prune"], input="n\n")
    assert declined.exit_code == 1
    assert store(tmp_path).exists()
    kept = store(tmp_path, "veri_val.txt")
    assert f"freed {size:,} bytes" in run("prune", answer="y\n")
    assert list((tmp_path / "cache").iterdir()) == [kept]


def test_prune_keeps_a_store_in_use(corpus: Path, tmp_path: Path) -> None:
    run("build", corpus)
    held = use_store(store(tmp_path))
    other = store(tmp_path, "veri_val.txt")
    size = sum(file.stat().st_size for file in other.iterdir())
    output = run("prune", "--yes", "--older-than-days", "0")
    assert f"kept {store(tmp_path).name}: in use" in output
    assert f"freed {size:,} bytes" in output
    assert not other.exists()
    held.release()
    run("prune", "--yes", "--older-than-days", "0")
    assert list((tmp_path / "cache").iterdir()) == []
