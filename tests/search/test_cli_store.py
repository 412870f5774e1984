"""`veer data build`, `info` and `prune`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli.data import app
from trainable.errors import StoreError
from trainable.store.lock import use_store

runner = CliRunner()


@pytest.fixture
def corpus(
    make_corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("VEER_CACHE", str(tmp_path / "cache"))
    return make_corpus(tmp_path / "corpus", num_utterances=2)


def run(*arguments: str | Path, answer: str | None = None) -> str:
    result = runner.invoke(
        app, [str(argument) for argument in arguments], input=answer, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def row(output: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if "features-" in line and "│" in line]
    return [cell.strip() for cell in line.strip("│").split("│")]


def store(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "cache").iterdir()
    return folder


def test_build_then_info(corpus: Path, tmp_path: Path) -> None:
    assert "20 utterances are ready" in run("build", corpus)
    name, lists, state, utterances, _, num_bytes, shards, unused = row(run("info"))
    assert (name, state, utterances) == (store(tmp_path).name, "complete", "20")
    assert str(tmp_path).startswith(lists[:20])
    assert int(num_bytes.replace(",", "")) > 20 * 101 * 160
    assert (shards, unused) == ("1", "0.0")
    assert row(run("info", corpus))[0] == name


def test_info_says_when_a_corpus_has_no_store(corpus: Path) -> None:
    with pytest.raises(StoreError, match=r"has no log-mels of it as it is now; veer data build"):
        run("info", corpus)


def test_verify_names_what_is_damaged_and_deleting_it_mends_it(
    corpus: Path, tmp_path: Path
) -> None:
    run("build", corpus)
    assert "1 verified: no damage" in run("info", "--verify")
    path = store(tmp_path) / "features-00000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"00000\.arrow: CRC-32 of .*\n.*delete what is named"):
        run("info", "--verify")
    path.unlink()
    run("build", corpus)
    assert "1 verified: no damage" in run("info", corpus, "--verify")


def test_prune_asks_and_tells_what_it_freed(corpus: Path, tmp_path: Path) -> None:
    run("build", corpus)
    assert "nothing to remove" in run("prune", "--yes")
    (store(tmp_path) / "manifest.json").unlink()
    size = sum(file.stat().st_size for file in store(tmp_path).iterdir())
    declined = runner.invoke(app, ["prune"], input="n\n")
    assert declined.exit_code == 1
    assert store(tmp_path).exists()
    assert f"freed {size:,} bytes" in run("prune", answer="y\n")
    assert list((tmp_path / "cache").iterdir()) == []


def test_prune_keeps_a_store_in_use(corpus: Path, tmp_path: Path) -> None:
    run("build", corpus)
    held = use_store(store(tmp_path))
    output = run("prune", "--yes", "--older-than-days", "0")
    assert f"kept {store(tmp_path).name}: in use" in output
    assert "freed 0 bytes" in output
    held.release()
    run("prune", "--yes", "--older-than-days", "0")
    assert list((tmp_path / "cache").iterdir()) == []
