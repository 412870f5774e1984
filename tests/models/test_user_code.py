"""The user's code runs with permission only, and its errors are reported with file and line."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models import CustomModelConfig, build_model
from models.user_class import VEER_PACKAGES, load_class
from models.user_code import code_roots, is_code_allowed, require_permission
from spaces.files.errors import ConfigError

Write = Callable[..., Path]

NET = """
from models import SpeakerModel

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim):
        super().__init__()
"""


def test_nothing_of_the_file_runs_without_permission(own_code: Write, tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    folder = own_code("mine", f"open({str(trace)!r}, 'w').close()\n{NET}", allowed=False)
    # Not even where Python would find it anyway.
    sys.path.append(str(folder))
    with pytest.raises(ConfigError, match=r"model.family mine:Net runs code .* --allow-code"):
        build_model(CustomModelConfig(family="mine:Net"))
    assert not trace.exists()
    own_code("mine", f"open({str(trace)!r}, 'w').close()\n{NET}")
    assert load_class("mine:Net").__name__ == "Net"
    assert trace.exists()


def test_permission_names_the_folder(own_code: Write) -> None:
    with pytest.raises(ConfigError, match=r"^teacher x runs code of its own: give --allow-code"):
        require_permission("teacher x")
    assert not is_code_allowed()
    folder = own_code("mine", NET)
    assert code_roots() == (folder.resolve(),)
    assert sys.path[-1] == str(folder.resolve())
    require_permission("teacher x")


def test_a_class_in_a_package_is_found(own_code: Write) -> None:
    own_code("my_students.small.conv", NET)
    assert load_class("my_students.small.conv:Net").__module__ == "my_students.small.conv"


@pytest.mark.parametrize("package", VEER_PACKAGES)
def test_a_name_of_veers_own_packages_clashes(own_code: Write, package: str) -> None:
    own_code(f"{package}.mine", NET)
    with pytest.raises(
        ConfigError, match=rf"model.family {package}\.mine:Net: the name '{package}' clashes with"
    ):
        load_class(f"{package}.mine:Net")


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("mine.gone:Net", r"no module 'mine.gone' in {own} .*; did you mean 'mine.gon'\?$"),
        ("min:Net", r"no module 'min' in {own} \(the folder that veer was started in\)$"),
        ("mine.gon:Nett", r"mine/gon.py has no class 'Nett'; did you mean 'Net'\?$"),
        ("mine.gon:Zzz", r"mine/gon.py has no class 'Zzz'; valid: Net$"),
        ("mine.plain:Plain", r"Plain must be a class that inherits from .*, got class Plain\(Mod"),
        ("mine.plain:build", r"build must be a class .* got a function$"),
        ("mine.plain:SpeakerModel", r"must be a class .* got class SpeakerModel\(Module\)$"),
        ("json:Net", r"json/__init__.py has no class 'Net'$"),
    ],
)
def test_what_is_not_there_is_named_with_where_it_was_looked_for(
    own_code: Write, family: str, message: str
) -> None:
    own_code("mine.gon", NET)
    folder = own_code(
        "mine.plain",
        "import torch\nfrom models import SpeakerModel\n"
        "class Plain(torch.nn.Module): ...\ndef build(): ...\n",
    )
    with pytest.raises(ConfigError, match=message.format(own=re.escape(str(folder)))):
        load_class(family)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", r"mine.py:2: ZeroDivisionError: division by zero$"),
        ("x = 1\nx = = 2\n", r"mine.py:2: SyntaxError: invalid syntax$"),
        ("import gone_library\n", r"mine.py:1: ModuleNotFoundError: .*'gone_library'$"),
        ("import helper_of_mine\n", r"helper_of_mine.py:3: KeyError: 'a'$"),
        ("\nimport sys\nsys.exit(3)\n", r"mine.py:3: SystemExit: 3$"),
        ("from models import Nothing\n", r"mine.py:1: ImportError: cannot import name 'Nothing'"),
        ("import json\n\njson.loads('{')\n", r"mine.py:3: JSONDecodeError: Expecting prop"),
    ],
)
def test_an_error_while_importing_comes_with_the_users_line(
    own_code: Write, text: str, message: str
) -> None:
    own_code("helper_of_mine", "\n\n{}['a']\n")
    own_code("mine", text)
    opening = r"^model.family mine:Net: importing it failed at .*/"
    with pytest.raises(ConfigError, match=opening + message):
        load_class("mine:Net")
