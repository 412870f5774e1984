"""Paths of lists: wrong ones are named once for each reason; one file has one path."""

import unicodedata
from pathlib import Path

import pytest

from tests.worlds.listed import PAIRS, UTTERANCES, A, B, C, converted, make_root, refused
from trainable.lists.parsing import parse_train_list


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.mark.parametrize(
    ("paths", "hint"),
    [
        (("a/1", "b/1"), "there is a/1.wav: name it with this suffix"),
        (("a/1.m4a", "b/1.m4a"), "there is a/1.wav: name it with this suffix"),
        (("a\\1.wav", "b\\1.wav"), "write / in place of \\ in its path"),
        (("wav/a/1.wav", "wav/b/1.wav"), "set the folder one higher, "),
        (("A/1.WAV", "B/1.WAV"), "there is a/1.wav: its file is named in small letters"),
        (("x/y/a/1.wav", "x/y/b/1.wav"), "there is a/1.wav: leave x/y/ out of the paths"),
        (("1.wav", "1.flac"), "there is a/1.wav: set the folder that paths start from to "),
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
    assert " (2 such lines); convert it with: veer data convert " in fault
    assert {each.path for each in converted("train", root, fault)} <= {A, C}


@pytest.mark.parametrize("row", ["a no/{}.wav", "{{}}:{}"])
def test_of_many_wrong_lines_three_are_named_and_the_others_counted(root: Path, row: str) -> None:
    file = root.parent / "list.txt"
    file.write_text("".join(row.format(n) + "\n" for n in range(9)))
    faults: list[str] = []
    assert parse_train_list(file, root, faults) == ()
    assert [fault.partition(": ")[0] for fault in faults] == [f"{file}:{n}" for n in (1, 2, 3, 4)]
    assert [fault.endswith(" (6 such lines)") for fault in faults] == [False] * 3 + [True]


@pytest.mark.parametrize("folder", ["/data/vox/wav/", "D:\\vox\\wav\\", "\\\\host\\vox\\"])
def test_absolute_paths_of_another_machine_are_one_fault(root: Path, folder: str) -> None:
    mark = "\\" if "\\" in folder else "/"
    paths = [folder + path.replace("/", mark) for path in (A, B, C)]
    text = f"1 {paths[0]} {paths[1]}\n0 {paths[0]} {paths[2]}\n"
    fault = refused("trial", root, text)
    assert f"list.txt:1: the path must stay inside {root}, got {paths[0]!r}; there is {A}" in fault
    assert "(2 such lines); convert" in fault
    assert converted("trial", root, fault) == PAIRS


def test_files_elsewhere_are_one_fault_that_names_their_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("".join(f"s {root}/{path}\n" for path in (A, B, C)))
    faults: list[str] = []
    assert parse_train_list(tmp_path / "list.txt", tmp_path / "empty", faults) == ()
    (fault,) = faults
    assert fault.endswith(f"(3 such lines); its file is there: set train_dir to {root}")


def test_a_path_with_dots_and_repeated_slashes_is_one_file(root: Path) -> None:
    file = root.parent / "list.txt"
    same = (A, f"./{A}", "a//1.wav", "b/../a/1.wav", f"{root}/b/../a/1.wav", "a/./1.wav")
    file.write_text("".join(f"a {path}  \n" for path in same))
    faults: list[str] = []
    assert {each.path for each in parse_train_list(file, root, faults)} == {A}
    assert faults == []
    file.write_text("a a/../../x.wav\n")
    parse_train_list(file, root, faults)
    assert faults == [
        f"{file}:1: the path must stay inside {root}, got 'a/../../x.wav'"
    ]


def test_a_name_in_another_form_of_unicode_is_found(root: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "rené") for form in ("NFC", "NFD"))
    (root / nfc).mkdir()
    (root / nfc / "1.wav").touch()
    file = root.parent / "list.txt"
    file.write_text(f"{nfd} {nfd}/1.wav\n{nfc} {nfc}/1.wav\n", encoding="utf-8")
    faults: list[str] = []
    (one,) = parse_train_list(file, root, faults)
    (fault,) = faults
    assert "in Unicode's form NFC; convert" in fault
    assert converted("train", root, fault) == (one, one)


def test_absolute_paths_inside_the_root_lose_the_root(root: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    file = root.parent / "list.txt"
    file.write_text(f"a {root}/{A}\na {linked}/{B}\nb {root}//{C}\nx /etc/passwd\n")
    faults: list[str] = []
    assert parse_train_list(file, root, faults) == UTTERANCES
    assert [fault.partition(": ")[2] for fault in faults] == [
        f"the path must stay inside {root}, got '/etc/passwd'; its file is there: set train_dir "
        "to /etc"
    ]
    # The workers of a search look up no files, and must find the same paths.
    assert parse_train_list(file, root, [], check_files=False)[:3] == UTTERANCES
