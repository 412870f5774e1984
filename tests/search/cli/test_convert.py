"""`veer data convert`, and what it prints to lead on."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli.data import app
from spaces.files.errors import ConfigError, CorpusError, VeerError
from tests.worlds.listed import A, B, C, make_root

KALDI = f"{A} {B} target\n\n{A} {C} nontarget\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    make_root(tmp_path)
    (tmp_path / "trials.txt").write_text(KALDI)
    (tmp_path / "train.txt").write_text(f"a {A}\nb {C}\n")
    return tmp_path


def run(*arguments: object) -> str:
    words = ["convert", *map(str, arguments)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_new_file_is_written_and_the_line_of_the_corpus_is_printed(here: Path) -> None:
    corpus = here / "corpus.yaml"
    listed = "train_dir: wav\ntrain_list: train.txt\nval_dir: wav\nval_list: train.txt\n"
    corpus.write_text(f"{listed}test_dir: wav\ntest_list: trials.txt\n")
    assert run(here / "trials.txt", "--as", "trial", "--root", here / "wav").splitlines() == [
        f"wrote {here}/trials_new.txt: 2 lines; 1 blank line left out",
        f"to use it, set in {corpus}: test_list: trials_new.txt",
    ]
    assert (here / "trials_new.txt").read_text() == f"1 {A} {B}\n0 {A} {C}\n"
    assert (here / "trials.txt").read_text() == KALDI


def test_without_a_corpus_the_key_is_named_and_missing_files_are_counted(here: Path) -> None:
    (here / "list.txt").write_text(f"{A} a\n/x/wav/{B} a\nno/2.wav b\n")
    out = here / "made.txt"
    lacking = r"made\.txt was written, but names 1 file that is not below .*, such as no/2\.wav"
    with pytest.raises(CorpusError, match=lacking):
        run(here / "list.txt", "--as", "train", "--root", here / "wav", "--out", out)
    assert out.read_text() == f"a {A}\na {B}\nb no/2.wav\n"
    (here / "list.txt").write_text(f"{A} a\n/x/wav/{B} a\n")
    words = (here / "list.txt", "--as", "train", "--root", here / "wav", "--out", out)
    output = run(*words, "--force")
    assert output.splitlines() == [
        f"wrote {out}: 2 lines; 1 path written as the files are named",
        f"to use it, set in corpus.yaml: train_list: {out}",
    ]
    with pytest.raises(VeerError, match=r"made\.txt exists; name another file with --out, or"):
        run(here / "list.txt", "--as", "train", "--out", out)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", "train", r"list\.txt: the list is empty"),
        ("one two three four\n", "trial", r"list\.txt:1: the format of the list is not recog"),
        (f"{A} {B}\n", "trial", r"list\.txt:1: the list cannot be converted: its lines have no l"),
        (f"a {A}\nb {C}\n", "trial", r"list\.txt:1: the list cannot be converted: it is a train"),
        ("a-1 a\n", "train", r"list\.txt:1: the list names utterances, not files.* --wav-scp"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    here: Path, text: str, kind: str, message: str
) -> None:
    (here / "list.txt").write_text(text)
    with pytest.raises(ConfigError, match=message):
        run(here / "list.txt", "--as", kind)
    assert not (here / "list_new.txt").exists()
