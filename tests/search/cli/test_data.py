from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from search.cli.data import app
from spaces.files.errors import CorpusError, VeerError
from tests.search.commands import table_rows
from trainable.demo.demo_corpus import DemoConfig, DemoCorpus, build_demo_corpus

runner = CliRunner()


def run(*arguments: str | Path) -> str:
    result = runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_prepare_then_check(make_corpus: Callable[..., Path], tmp_path: Path) -> None:
    make_corpus(tmp_path / "source", num_train_speakers=8, num_utterances=2)
    out = tmp_path / "lists"
    output = run(
        *("prepare", tmp_path / "source" / "train", "--layout", "voxceleb"),
        *("--val-speakers", "3", "--test-speakers", "2", "--out", out),
    )
    assert str(out / "corpus.yaml") in output.replace("\n", "")
    assert table_rows(run("check", out / "corpus.yaml")) == [
        ["train", "3", "6", "0.00", "1.00"],
        ["validation", "3", "6", "0.00", "1.00", "3", "3"],
        ["test", "2", "4", "0.00", "1.00", "2", "2"],
    ]


def test_prepare_asks_before_it_overwrites(
    make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    make_corpus(tmp_path, num_train_speakers=6, num_utterances=2)
    arguments = ("prepare", tmp_path / "train", "--layout", "voxceleb", "--val-speakers", "2")
    run(*arguments)
    with pytest.raises(VeerError, match=r"already has train_list\.txt, .* pass --force"):
        run(*arguments)
    run(*arguments, "--force", "--seed", "1")


def test_check_lists_faults_and_can_allow_shared_speakers(
    make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path, num_train_speakers=2, num_val_speakers=2, num_utterances=3)
    text = corpus.read_text().replace("train_dir: train", "train_dir: val")
    corpus.write_text(text)
    paths = [f"id0000{speaker}/session2/00001.wav" for speaker in (2, 3)]
    pairs = (tmp_path / "veri_val.txt").read_text().splitlines()
    others = [pair for pair in pairs if "session2" not in pair]
    (tmp_path / "veri_val.txt").write_text("\n".join(others))
    (tmp_path / "train_list.txt").write_text("".join(f"{p[:7]} {p}\n" for p in paths))
    with pytest.raises(CorpusError, match=r"veri_val\.txt:1: speaker id00002 is also in training"):
        run("check", corpus)
    allowed = run("check", corpus, "--allow-shared-speakers")
    assert table_rows(allowed)[0][:3] == ["train", "2", "2"]


def test_an_error_stands_alone_without_a_bar(
    make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path, num_train_speakers=2, num_val_speakers=2, num_utterances=2)
    next(tmp_path.glob("val/*/*/*.wav")).write_bytes(b"")
    result = runner.invoke(app, ["check", str(corpus)])
    assert isinstance(result.exception, CorpusError)
    assert "is empty (0 bytes)" in str(result.exception)
    assert result.output == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare", "x", "--layout", "timit", "--val-speakers", "2"), "'timit' is not one of"),
        (("prepare", "x", "--layout", "voxceleb", "--val-speakers", "1"), "for '--val-speakers'"),
        (("prepare", "x", "--layout", "voxceleb"), "Missing option '--val-speakers'"),
    ],
)
def test_bad_options_are_explained(arguments: tuple[str, ...], message: str) -> None:
    result = runner.invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("command", ["demo", "prepare", "check"])
def test_help_lists_the_required_arguments(command: str) -> None:
    output = runner.invoke(app, [command, "--help"], env={"COLUMNS": "120"}).output
    expected = {"demo": "synthetic", "prepare": "LibriSpeech", "check": "corpus.yaml"}
    assert expected[command].lower() in output.lower()


@pytest.mark.slow
def test_demo_reports_a_reuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the demo extra is not installed")
    sizes = {"num_speakers": 4, "num_val_speakers": 2, "num_test_speakers": 0}
    sizes |= {"num_sessions": 1, "num_utterances": 2, "num_pairs": 4}

    def build_tiny(out: Path, config: DemoConfig, progress: Any) -> DemoCorpus:
        return build_demo_corpus(out, DemoConfig(seed=config.seed, **sizes), progress)

    monkeypatch.setattr("trainable.demo.demo_corpus.build_demo_corpus", build_tiny)
    assert "built" in run("demo", tmp_path / "demo", "--seed", "7")
    assert "reused" in run("demo", tmp_path / "demo", "--seed", "7")
    assert len(table_rows(run("check", tmp_path / "demo" / "corpus.yaml"))) == 2
