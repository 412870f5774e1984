"""Corpora of other toolkits are read as they lie, and a list in another format is named."""

import json
from pathlib import Path

import pytest

from spaces.files.errors import ConfigError, CorpusError
from spaces.files.yaml_file import write_yaml
from tests.worlds.listed import PAIRS, UTTERANCES, A, B, C, make_root
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.list_formats.sources import FormatName, ListSource
from trainable.lists.parsing import ReadAs, parse_train_list, parse_trial_list

# Names of utterances may end like those of files.
NAMES = {A: "a-1.wav", B: "a-2.wav", C: "b-1.wav"}
RAW_LIST = "".join(
    json.dumps({"key": f"id/{path}", "wav": path, "spk": path[0]}) + "\n" for path in (A, B, C)
)
CSV = "ID,duration,wav,start,stop,spk_id\n" + "".join(
    f"{path},3.0,$data_root/{path},{start},{start + 100},{path[0]}\n"
    for path in (A, B, C)
    for start in (0, 1)
)
UTT2SPK = "".join(f"{name} {path[0]}\n" for path, name in NAMES.items())
TRAIN = {
    "kaldi": UTT2SPK,
    "wespeaker": RAW_LIST,
    "speechbrain": CSV,
    "table": f"wav;who\n{A};a\n{B};a\n{C};b\n",
}
TRIALS = {
    "kaldi": "a-1.wav a-2.wav target\na-1.wav b-1.wav nontarget\n",
    "wespeaker": f"{A} {B} target\n{A} {C} nontarget\n",
    "speechbrain": f"1 {A} {B}\n0 {A} {C}\n",
    "table": f"one,two,same\n{A},{B},yes\n{A},{C},no\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    (tmp_path / "wav.scp").write_text("".join(f"{name} {p}\n" for p, name in NAMES.items()))
    return root


@pytest.mark.parametrize("name", TRAIN)
@pytest.mark.parametrize("is_named", [True, False])
def test_a_list_of_each_format_is_read_as_it_lies(
    root: Path, name: FormatName, is_named: bool
) -> None:
    scp = root.parent / "wav.scp" if name == "kaldi" else None
    how = ReadAs(source=ListSource(format=name if is_named else "auto", wav_scp=scp))
    file, faults = root.parent / "list.txt", list[str]()
    file.write_text(TRAIN[name])
    found = parse_train_list(file, root, faults, read_as=how)
    assert (found, faults) == (UTTERANCES, [])
    # Faults name the line of the file as it is.
    assert found[0].line == (2 if name in ("speechbrain", "table") else 1)
    file.write_text(TRIALS[name])
    assert (parse_trial_list(file, root, faults, read_as=how), faults) == (PAIRS, [])


@pytest.mark.parametrize(
    ("wanted", "text", "got"),
    [
        ("kaldi", RAW_LIST, "wespeaker, WeSpeaker's raw.list"),
        ("wespeaker", CSV, "speechbrain, SpeechBrain's CSV"),
        ("speechbrain", UTT2SPK, "kaldi, Kaldi's"),
        ("kaldi", f"a {A}\nb {C}\n", "veer, Veer's own"),
        ("wespeaker", TRAIN["table"], "table, a table of other columns"),
    ],
)
def test_a_list_in_the_wrong_format_is_named(
    root: Path, wanted: FormatName, text: str, got: str
) -> None:
    file, faults = root.parent / "list.txt", list[str]()
    file.write_text(text)
    read_as = ReadAs(source=ListSource(format=wanted))
    assert parse_train_list(file, root, faults, read_as=read_as) == ()
    (fault,) = faults
    assert f"the format must be {wanted}, " in fault
    assert f", got {got}" in fault
    assert fault.startswith(f"{file}:")


def test_a_corpus_of_kaldi_is_read_from_corpus_yaml(root: Path) -> None:
    here = root.parent
    for path in ("c/1.wav", "c/2.wav", "d/1.wav"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
        with (here / "wav.scp").open("a") as scp:
            scp.write(f"{path[0]}-{path[2]} sox {root}/{path} -t wav - |\n")
    (here / "utt2spk").write_text(UTT2SPK)
    (here / "trials").write_text("c-1 c-2 target\nc-1 d-1 nontarget\n")
    settings = {
        "train_dir": "wav", "train_list": "utt2spk", "val_dir": "wav", "val_list": "trials",
        "format": "kaldi", "wav_scp": "wav.scp",
    }  # fmt: skip
    write_yaml(here / "corpus.yaml", settings)
    corpus = read_corpus(read_corpus_config(here / "corpus.yaml"))
    assert corpus.train == UTTERANCES
    assert corpus.val_paths == ("c/1.wav", "c/2.wav", "d/1.wav")
    # A missing file is a fault of the list's line, as in Veer's own format.
    (root / C).unlink()
    with pytest.raises(CorpusError, match=r"utt2spk:3: there is no audio file .*b/1\.wav"):
        read_corpus(read_corpus_config(here / "corpus.yaml"))
    write_yaml(here / "corpus.yaml", {**settings, "format": "veer"})
    with pytest.raises(ConfigError, match="wav_scp needs the format of its lists"):
        read_corpus_config(here / "corpus.yaml")
