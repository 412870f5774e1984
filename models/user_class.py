"""Import of a class from a file of the user's, and the line where that file failed."""

import difflib
import importlib
import traceback
from pathlib import Path
from types import ModuleType

from models.base import SpeakerModel
from models.user_code import code_roots, require_permission
from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError

# Top-level names that a file of the user's cannot have: Veer's own would be imported instead.
VEER_PACKAGES = ("models", "spaces", "trainable", "search", "results")
VEER_ROOT = Path(__file__).resolve().parent.parent


def load_class(family: str) -> type[SpeakerModel]:
    """Import the class that a family names; this runs its file.

    Args:
        family: `package.module:Class`.

    Raises:
        ConfigError: There is no permission, no such module or class, the file raises an error,
            or the class is not a `SpeakerModel`.
    """
    require_permission(f"model.family {family}")
    module_name, _, class_name = family.partition(":")
    module = _import(module_name, family)
    found = vars(module).get(class_name)
    if found is None:
        types = {name: each for name, each in vars(module).items() if isinstance(each, type)}
        own = [name for name, each in types.items() if _is_student(each)]
        raise ConfigError(
            f"model.family {family}: {module.__file__} has no class {class_name!r}"
            f"{did_you_mean(class_name, own)}"
        )
    if not _is_student(found):
        raise ConfigError(
            f"model.family {family}: {class_name} must be a class that inherits from "
            f"models.SpeakerModel, got {_described(found)}"
        )
    return found  # type: ignore[no-any-return]


def code_error(family: str, what: str, error: BaseException) -> ConfigError:
    """Return a `ConfigError` for an error of the user's code, with its file and line.

    Args:
        family: The family of the model.
        what: What Veer was doing when the code raised it, such as `importing it`.
        error: The error that the code raised.
    """
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return ConfigError(
        f"model.family {family}: {what} failed at {_location(error)}: "
        f"{type(error).__name__}: {text}"
    )


def _import(name: str, family: str) -> ModuleType:
    package = name.partition(".")[0]
    if package in VEER_PACKAGES:
        raise ConfigError(
            f"model.family {family}: the name {package!r} clashes with a package of Veer's, which "
            f"is found first ({', '.join(VEER_PACKAGES)} are taken); rename your {package}"
        )
    # Else a file written since Python listed its folder would not be found.
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        # The module exists, and one that it imports does not.
        if name != missing and not name.startswith(f"{missing}."):
            raise code_error(family, "importing it", error) from error
        folders = ", ".join(map(str, code_roots()))
        raise ConfigError(
            f"model.family {family}: no module {missing!r} in {folders} (the folder that veer was "
            f"started in){_near(missing)}"
        ) from error
    except (Exception, SystemExit) as error:  # a script may call sys.exit() when imported
        raise code_error(family, "importing it", error) from error


def _near(missing: str) -> str:
    """Return a clause with the nearest module name in the folder that was searched."""
    *parents, last = missing.split(".")
    folders = [root.joinpath(*parents) for root in code_roots()]
    names = {path.stem for folder in folders for path in folder.glob("*.py")}
    near = difflib.get_close_matches(last, names, n=1)
    return f"; did you mean {'.'.join((*parents, near[0]))!r}?" if near else ""


def _is_student(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, SpeakerModel) and found != SpeakerModel


def _described(found: object) -> str:
    if not isinstance(found, type):
        return f"a {type(found).__name__}"
    return f"class {found.__name__}({', '.join(base.__name__ for base in found.__bases__)})"


def _location(error: BaseException) -> str:
    """Return the last `FILE:LINE` in the user's code, or else the line that raised the error."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(Path(frame.filename))]
    last = (own or list(frames))[-1]
    return f"{last.filename}:{last.lineno}"


def _is_own(file: Path) -> bool:
    if any(file.is_relative_to(VEER_ROOT / package) for package in VEER_PACKAGES):
        return False
    # A virtual environment often lies in the working folder; its packages are not the user's code.
    inside = any(file.is_relative_to(root) for root in code_roots())
    return inside and "site-packages" not in file.parts
