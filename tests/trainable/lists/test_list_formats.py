"""Lists of other tools are named once, and the command in the message converts them."""

import subprocess
from pathlib import Path

import pytest

from trainable.lists.parsing import TrialPair, Utterance, parse_train_list, parse_trial_list

A, B, C = "a/1.wav", "a/2.wav", "b/1.wav"
PAIRS = (
    TrialPair(is_target=True, path_a=A, path_b=B),
    TrialPair(is_target=False, path_a=A, path_b=C),
)
UTTERANCES = tuple(Utterance(path=path, speaker=path[0]) for path in (A, B, C))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in (A, B, C):
        file = tmp_path / "wav" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "wav"


def refused(kind: str, root: Path, text: str) -> str:
    """Return the one fault of a list."""
    file = root.parent / "list.txt"
    file.write_text(text)
    faults: list[str] = []
    found = (parse_train_list if kind == "train" else parse_trial_list)(file, root, faults)
    (fault,) = faults
    assert found == ()
    return fault


def converted(kind: str, root: Path, fault: str) -> tuple[object, ...]:
    """Run the command that a message names, and return what the new list holds."""
    command = fault.partition("convert it with: ")[2]
    assert command
    subprocess.run(command, shell=True, check=True)
    faults: list[str] = []
    parse = parse_train_list if kind == "train" else parse_trial_list
    found = parse(root.parent / "list_new.txt", root, faults)
    assert faults == []
    return found


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
        (f"Same {A} {B}\nDifferent {A} {C}\n", "the word 'Same' as the label"),
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
    ("text", "name"),
    [
        (f"{A} a\n{B} a\n{C} b\n", "the speaker last, as in utt2spk"),
        (f"a,{A}\na,{B}\nb,{C}\n", "columns parted by ','"),
        (f"path,speaker\n{A},a\n{B},a\n{C},b\n", "columns parted by ',', the speaker last"),
        (f"a {A} 64000\na {B} 3\nb {C} 9\n", "1 column too many"),
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
        ("train", "a-1 a\na-2 a\n", "Kaldi's utt2spk: utterances, not files; take the files from"),
    ],
)
def test_what_no_command_converts_is_named_once(
    root: Path, kind: str, text: str, message: str
) -> None:
    assert message in refused(kind, root, text)


def test_blank_lines_comments_and_a_header_are_named_once_each(root: Path) -> None:
    file = root.parent / "list.txt"
    one, other = (f"{int(p.is_target)} {p.path_a} {p.path_b}" for p in PAIRS)
    file.write_text(f"label a b\n{one}\n\n\n# x\n{other}\n\n# y\n# z\n{one}\n")
    faults: list[str] = []
    pairs = parse_trial_list(file, root, faults)
    assert pairs == (*PAIRS, PAIRS[0])
    assert [fault.replace(str(file), "list").split("; ")[0] for fault in faults] == [
        "list:1: must be lines '1|0 PATH_A PATH_B', got 'label a b', a header line",
        "list:3: must be '1|0 PATH_A PATH_B', got ''",
        "list:5: must be '1|0 PATH_A PATH_B', got '# x'",
    ]
    assert [fault.endswith("(3 such lines)") for fault in faults] == [False, True, True]
    # The fixes leave a list that is taken; the header goes last, since it counts lines.
    for fault in reversed(faults):
        command = fault.partition("with: ")[2].partition(" (3 such")[0]
        subprocess.run(command, shell=True, check=True)
    faults = []
    assert parse_trial_list(file, root, faults) == pairs
    assert faults == []


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
    subprocess.run(
        faults[0].partition("with: ")[2].partition(", and name")[0], shell=True, check=True
    )
    faults = []
    found = parse_train_list(root.parent / "list_new.txt", root, faults)
    assert [utterance.speaker for utterance in found] == ["a", "ren\u00e9"]


@pytest.mark.parametrize(
    ("paths", "hint"),
    [
        (("a/1", "b/1"), "there is a/1.wav: name it with this suffix (2 such lines)"),
        (("a/1.m4a", "b/1.m4a"), "there is a/1.wav: name it with this suffix (2 such lines)"),
        (("a\\1.wav", "b\\1.wav"), "write / in place of \\ in its path (2 such lines)"),
        (("wav/a/1.wav", "wav/b/1.wav"), "wav/ is the folder that paths start from: set the"),
    ],
)
def test_missing_files_for_one_reason_are_named_once(
    root: Path, paths: tuple[str, ...], hint: str
) -> None:
    (root.parent / "list.txt").write_text("".join(f"s{path[-1]} {path}\n" for path in paths))
    faults: list[str] = []
    assert parse_train_list(root.parent / "list.txt", root, faults) == ()
    (fault,) = faults
    assert f"list.txt:1: there is no audio file {root}/{paths[0]}; " in fault
    assert hint in fault


def test_absolute_paths_inside_the_root_lose_the_root(root: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    file = root.parent / "list.txt"
    file.write_text(f"a {root}/{A}\na {linked}/{B}\nb {root}//{C}\nx /etc/passwd\n")
    faults: list[str] = []
    assert parse_train_list(file, root, faults) == UTTERANCES
    assert [fault.rpartition(": ")[2] for fault in faults] == [
        f"the path must stay inside {root}, got '/etc/passwd'"
    ]
    # The workers of a search look up no files, and must find the same paths.
    assert parse_train_list(file, root, [], check_files=False)[:3] == UTTERANCES
