"""Lists of other tools are named once, and the command in the message converts them."""

from pathlib import Path

import pytest

from spaces.files.errors import ConfigError, CorpusError
from tests.worlds.listed import PAIRS, UTTERANCES, A, B, C, converted, make_root, refused
from trainable.list_formats.converting import convert_list
from trainable.list_formats.list_paths import read_wav_scp
from trainable.lists.parsing import parse_train_list, parse_trial_list


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{A} {B} target\n{A} {C} nontarget\n", "Kaldi's trials ('A B target')"),
        (f"{A} {B} target\r\n{A} {C} nontarget\r\n", "Kaldi's trials ('A B target')"),
        (f"{A} {B} 1\n{A} {C} 0\n", "the label last"),
        (f"{A} {B} 1\r\n{A} {C} 0\r\n", "the label last"),
        (f"one,two,label\r\n{A},{B},1\r\n{A},{C},0\r\n", "columns parted by ',', the label last"),
        (f"1,{A},{B}\n0,{A},{C}\n", "columns parted by ','"),
        (f"label,one,other\n1,{A},{B}\n0,{A},{C}\n", "columns parted by ','"),
        (f'"{A}";"{B}";"1"\n"{A}";"{C}";"0"\n', "columns parted by ';', the label last"),
        (f"{A},{B},same\n{A},{C},different\n", "Kaldi's trials ('A B target') with ','"),
        (f"file1,file2,same\n{A},{B},1\n{A},{C},0\n", "columns parted by ',', the label last"),
        (f"{A}, {B}, 1\n{A}, {C}, 0\n", "columns parted by ',', the label last"),
        (f"{A} {B} 0.87 1\n{A} {C} 0.1 0\n", "1 column too many: column 3 '0.87'"),
        (f"1 {A} {B} 3.20 4.1\n0 {A} {C} 3.2 1\n", "2 columns too many"),
        (f"{A} {B} 1\n\n# more\n{A} {C} -1\n", "the label last"),
    ],
)
def test_a_foreign_trial_list_is_named_once_and_converted(
    root: Path, text: str, name: str
) -> None:
    fault = refused("trial", root, text.replace("\n\n# more\n", "\n"))
    assert "must be lines '1|0 PATH_A PATH_B', got " in fault
    assert name in fault
    (root.parent / "list.txt").write_text(text)
    assert converted("trial", root, fault) == PAIRS


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (("Same", "Different"), "'Same' (2 such lines); convert"),
        (("1", "-1"), "'-1'; convert"),
        (("TRUE", "FALSE"), "'TRUE' (2 such lines); convert"),
        (("yes", "no"), "'yes' (2 such lines); convert"),
        (("target", "nontarget"), "'target' (2 such lines); convert"),
        (("1.0", "0.0"), "'1.0' (2 such lines); convert"),
    ],
)
def test_other_labels_are_one_fault_and_converted(
    root: Path, labels: tuple[str, str], shown: str
) -> None:
    file = root.parent / "list.txt"
    file.write_text(f"{labels[0]} {A} {B}\n{labels[1]} {A} {C}\n")
    faults: list[str] = []
    # The checks of pairs and speakers see them as they are meant.
    assert parse_trial_list(file, root, faults) == PAIRS
    (fault,) = faults
    assert f"the label must be 1 (same speaker) or 0, got {shown}" in fault
    assert converted("trial", root, fault) == PAIRS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{A} a\n{B} a\n{C} b\n", "the speaker last, as in utt2spk"),
        (f"a,{A}\na,{B}\nb,{C}\n", "columns parted by ','"),
        (f"path,speaker\n{A},a\n{B},a\n{C},b\n", "columns parted by ',', the speaker last"),
        (f"a {A} 64000\na {B} 3\nb {C} 9\n", "1 column too many: column 3 '64000'"),
        # SpeechBrain, with an ID beside the speaker.
        (
            f"ID,duration,wav,start,spk_id\nx,1.2,$root/{A},0,a\ny,2,$root/{B},0,a\n"
            f"z,3,$root/{C},0,b\n",
            "columns parted by ',', the speaker last, 3 columns too many: column 1 'x', column 2",
        ),
        # An ID that looks like a path, and segments of files.
        (
            f"ID,duration,wav,start,stop,spk_id\na/x,1.2,$root/{A},0,3,a\na/y,2,$root/{B},0,3,a\n"
            f"b/z,3,$root/{C},0,3,b\n",
            "columns parted by ','",
        ),
        (
            "".join(
                f'{{"key": "id/{path}", "wav": "/data/{path}", "spk": "{path[0]}"}}\n'
                for path in (A, B, C)
            ),
            "lines of JSON, as WeSpeaker's raw.list; convert",
        ),
        (f"| spk | wav |\n|---|---|\n| a | {A} |\n| a | {B} |\n| b | {C} |\n", "parted by '|'"),
        (f'"a, the first",{A}\na,{B}\nb,{C}\n'.replace(", the first", ""), "columns parted"),
    ],
)
def test_a_foreign_train_list_is_named_once_and_converted(
    root: Path, text: str, name: str
) -> None:
    fault = refused("train", root, text)
    assert name in fault
    assert converted("train", root, fault) == UTTERANCES


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("trial", f"{A} {B}\n{A} {C}\n", "no label); write 1 (same speaker) or 0 before the"),
        ("trial", f"a {A}\nb {C}\n", "which is a train list; give the train list as train_list"),
        ("train", f"1 {A} {B}\n0 {A} {C}\n", "which is a trial list; give the train list as"),
        ("train", f"{A}\n{C}\n", "no speaker); write the speaker before the path"),
        ("trial", f"{A} {B} 0.8\n{A} {C} 0.1\n", "(no label, 1 column too many: column 3 '0.8')"),
    ],
)
def test_what_no_command_converts_is_named_once(
    root: Path, kind: str, text: str, message: str
) -> None:
    assert message in refused(kind, root, text)


def test_blank_lines_comments_and_a_header_are_one_fault(root: Path) -> None:
    file = root.parent / "list.txt"
    one, other = (f"{int(p.is_target)} {p.path_a} {p.path_b}" for p in PAIRS)
    content = f"label a b\n{one}\n\n\n# x\n{other}\n\n# y\n# z\n{one}\n"
    file.write_text(content)
    faults: list[str] = []
    pairs = parse_trial_list(file, root, faults)
    assert pairs == (*PAIRS, PAIRS[0])
    (fault,) = faults
    assert fault.startswith(
        f"{file}:1: must be lines '1|0 PATH_A PATH_B' only, got 'label a b': 1 header line (the "
        "first is line 1), 3 blank lines (the first is line 3), 3 comments (the first is line 5); "
    )
    assert converted("trial", root, fault) == pairs
    assert file.read_text() == content


def test_lists_of_kaldi_name_utterances_whose_files_wav_scp_has(root: Path) -> None:
    (root.parent / "wav.scp").write_text(
        f"a-1 /other/wav/{A}\na-2 {root}/{B}\nb-1 flac -c -d -s /other/wav/{C} |\n"
        f"b-2\t{C}\n".replace("/1.wav |", "/1.wav |")
    )
    for kind, text, name, expected in (
        ("trial", "a-1 a-2 target\na-1 b-1 nontarget\n", "Kaldi's trials", PAIRS),
        ("train", "a-1 a\na-2 a\nb-1 b\n", "Kaldi's utt2spk, of utterances", UTTERANCES),
        ("train", "| a-1 | a |\n| a-2 | a |\n| b-1 | b |\n", "Kaldi's utt2spk", UTTERANCES),
        ("train", "a a-1 a-2\nb b-1\n", "Kaldi's spk2utt: utterances", UTTERANCES),
        ("trial", "1 a-1 a-2\n0 a-1 b-1\n", "the list names utterances, as Kaldi", PAIRS),
    ):
        fault = refused(kind, root, text)
        assert name in fault
        assert fault.endswith(" --wav-scp wav.scp")
        assert converted(kind, root, fault) == expected


def test_one_wrong_line_is_a_fault_and_no_format(root: Path) -> None:
    file = root.parent / "list.txt"
    file.write_text(f"{A} {B} target\n1 {A} {B}\n0 {A} {C}\n")
    faults: list[str] = []
    assert len(parse_trial_list(file, root, faults)) == 2
    assert "the label must be 1 (same speaker) or 0, got 'a/1.wav'" in faults[0]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("latin-1", r"list.txt:2: the list cannot be read: must be UTF-8, got the byte 0xe9 in"),
        ("utf-16", r"list.txt:1: the list cannot be read: must be UTF-8, got UTF-16"),
    ],
)
def test_another_encoding_is_named_with_its_line(
    root: Path, encoding: str, message: str
) -> None:
    file = root.parent / "list.txt"
    file.write_bytes(f"a {A}\nrené {C}\n".encode(encoding))
    faults: list[str] = []
    assert parse_train_list(file, root, faults) == ()
    assert message in faults[0]
    found = converted("train", root, faults[0])
    assert [utterance.speaker for utterance in found] == ["a", "ren\u00e9"]


def test_a_quote_that_is_not_closed_is_named(root: Path) -> None:
    text = f'"{A}","{B}","1"\n"{A}","{C}","0"\n"{B}","{C}","0\n'
    file = root.parent / "list.txt"
    file.write_text(text)
    faults: list[str] = []
    assert parse_trial_list(file, root, faults) == ()
    named, cut = faults
    assert "columns parted by ','" in named
    assert cut == (
        f"{file}:3: must be '1|0 PATH_A PATH_B', got '\"{B}\",\"{C}\",\"0', in which a quote is "
        "not closed"
    )
    with pytest.raises(CorpusError, match=r"list\.txt:3: must have 3 columns.* is not closed"):
        convert_list("trial", file)


def test_a_line_of_a_speaker_with_paths_is_converted(root: Path) -> None:
    file = root.parent / "list.txt"
    file.write_text(f"a {A} {B}\nb {C} b/2.wav\n")
    made = convert_list("train", file, root=root)
    assert made.lines == (f"a {A}", f"a {B}", f"b {C}", "b b/2.wav")
    assert made.lacking == ("b/2.wav",)
    fault = refused("train", root, file.read_text())
    assert "Kaldi's spk2utt with paths; convert it with:" in fault


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("cat /x/a.wav |", "/x/a.wav"),
        ("sox /x/a.flac -t wav -r 16000 - |", "/x/a.flac"),
        ("/usr/bin/flac -c -d -s /x/a.flac |", "/x/a.flac"),
        ("sox /x/a.wav -t wav - speed 0.9 |", None),
        ("ffmpeg -i /x/a.wav -f wav - |", None),
        ("cat /x/a.wav | sox -t wav - -t wav - |", None),
        ("sph2pipe -f wav /x/a.sph |", None),
    ],
)
def test_commands_of_a_wav_scp_that_change_samples_are_refused(
    tmp_path: Path, command: str, path: str | None
) -> None:
    file = tmp_path / "wav.scp"
    file.write_text(f"one /x/one.wav\nu-1 {command}\n")
    if path is not None:
        assert read_wav_scp(file)["u-1"] == path
        return
    with pytest.raises(ConfigError, match=r"wav\.scp:2: must be 'UTTERANCE PATH', or a command"):
        read_wav_scp(file)
