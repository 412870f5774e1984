"""The reading of a search's settings from a file, the command line and the space.

The three are merged into one document, in which each key knows its source: an error names the file
and line, or the command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.search_config import BUNDLED_SETTINGS, MAY_CHANGE, SUGGESTIBLE, SearchConfig
from spaces.files.complaints import Keys, did_you_mean
from spaces.files.errors import ConfigError
from spaces.files.locations import uri_of
from spaces.files.overrides import OverriddenDocument
from spaces.files.yaml_file import YamlDocument, load_model, read_yaml
from spaces.reading.space_file import bundled_spaces
from trainable.corpus.corpus import read_corpus_config

# Named in messages in place of a settings file, where there is none.
NO_FILE = Path("command line")


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedDocument(OverriddenDocument):
    """Settings of a file, under those of the command line, over the space's suggestions.

    Attributes:
        space: The space's document, None where no space is named.
        suggested: Keys whose values come from the space.
    """

    space: YamlDocument | None
    suggested: frozenset[str]

    def location_of(self, keys: Keys) -> str:
        """Return the source of a key: a file with its line, or the command line."""
        if self.space is not None and keys and keys[0] in self.suggested:
            return self.space.location_of(("search", *keys))
        return str(NO_FILE) if self.path == NO_FILE else OverriddenDocument.location_of(self, keys)


def read_search_config(
    source: str | Path | None, overrides: Mapping[str, Any] | None = None
) -> SearchConfig:
    """Read and resolve a search's settings.

    Relative paths in a file count from its folder, those in overrides from the working folder.
    Suggestions of the space, under `search`, apply where neither of them sets the key.

    Args:
        source: A bundled name (`demo`) or a YAML file; None for only the overrides.
        overrides: Settings of the command line by dotted name (`resources.gpu`); they override the
            file.

    Raises:
        ConfigError: With file, line and fix.
    """
    path, base = (NO_FILE, Path.cwd()) if source is None else _find_settings(source)
    nothing = YamlDocument(path=NO_FILE, data={}, lines={(): 1})
    document = nothing if source is None else read_yaml(path)
    data = {key: _resolved(key, value, base) for key, value in document.data.items()}
    given = _tree(overrides or {})
    for key, value in given.items():
        data[key] = _laid_over(data.get(key), _resolved(key, value, Path.cwd()))
    # After the command line, which may name another space than the file.
    space = read_yaml(data["space"]) if isinstance(data.get("space"), Path) else None
    suggested = {} if space is None else suggested_settings(space)
    for key, value in suggested.items():
        # Suggestions lie under both: the user's own settings always win.
        data[key] = _laid_over(value, data[key]) if key in data else value
    merged = MergedDocument(
        path=path,
        data=data,
        lines=document.lines,
        overridden=frozenset(tuple(name.split(".")) for name in overrides or ()),
        source=str(NO_FILE),
        space=space,
        suggested=frozenset(suggested.keys() - document.data.keys() - given.keys()),
    )
    return load_model(SearchConfig, merged)


def suggested_settings(space: YamlDocument) -> dict[str, Any]:
    """Return the search settings that a space file suggests.

    Raises:
        ConfigError: They are not a mapping, or a space may not suggest a key.
    """
    suggested = space.data.get("search", {})
    if not isinstance(suggested, dict):
        raise ConfigError(f"{space.location_of(('search',))}: search: must be a mapping")
    for key in suggested:
        if key not in SUGGESTIBLE:
            hint = did_you_mean(key, SUGGESTIBLE)
            raise ConfigError(
                f"{space.location_of(('search', key))}: search.{key}: a space cannot suggest it"
                f"{hint}"
            )
    return dict(suggested)


def check_suggested(space: Path) -> None:
    """Refuse suggestions of a space file that are no valid settings of any search.

    Raises:
        ConfigError: With file, line and fix.
    """
    # Required fields, which a space cannot suggest; their values are not read here.
    corpus = dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), ".")
    read_search_config(None, {"corpus": corpus, "space": space})


def differing_keys(one: SearchConfig, other: SearchConfig) -> list[str]:
    """Return the settings that differ, except those that a resumed search may change.

    Spaces are compared by content: a run folder keeps a copy of its own.
    """
    a, b = (
        settings.model_dump(mode="json") | {"space": read_yaml(settings.space).data}
        for settings in (one, other)
    )
    return [key for key in a if key not in MAY_CHANGE and a[key] != b[key]]


def _find_settings(source: str | Path) -> tuple[Path, Path]:
    """Return the settings file, and the folder from which its paths count."""
    # Bundled names have no suffix, so no file can hide one.
    if Path(source).suffix in (".yaml", ".yml"):
        return Path(source), Path(source).resolve().parent
    bundled = {path.stem: path for path in sorted(BUNDLED_SETTINGS.glob("*.yaml"))}
    if str(source) not in bundled:
        raise ConfigError(
            f"search settings must be a .yaml file or a bundled name, got {str(source)!r}"
            f"{did_you_mean(source, bundled)}"
        )
    return bundled[str(source)], Path.cwd()


def _laid_over(under: Any, over: Any) -> Any:
    """Return `over`; for two mappings the keys of both, with the values of `over`."""
    return under | over if isinstance(under, dict) and isinstance(over, dict) else over


def _resolved(key: str, value: Any, base: Path) -> Any:
    """Return a setting with absolute paths, and a corpus file replaced by its content.

    Raises:
        ConfigError: A setting that must be a path of this machine is a URI.
    """
    for each in value if isinstance(value, list | tuple) else [value]:
        if key in ("learn_from", "corpus", "space") and _is_uri(each):
            raise ConfigError(f"{key} must be a path of this machine, got {uri_of(each)}")
    if key == "teacher" and isinstance(value, str | Path):
        return Path(value) if _is_uri(value) else (base / value).resolve()
    if key == "learn_from" and isinstance(value, list | tuple):
        # A value that is no path is left to the check of its type.
        return [
            (base / each).resolve() if isinstance(each, str | Path) else each for each in value
        ]
    if key == "corpus" and isinstance(value, str | Path):
        return read_corpus_config((base / value).resolve()).model_dump()
    if key == "space" and isinstance(value, str | Path):
        return _find_space(value, base)
    return value


def _is_uri(value: Any) -> bool:
    return isinstance(value, str | Path) and uri_of(value) is not None


def _find_space(source: str | Path, base: Path) -> Path:
    bundled = bundled_spaces()
    if str(source) in bundled:
        return bundled[str(source)]
    path = (base / source).resolve()
    if not path.is_file():
        hint = did_you_mean(source, bundled)
        raise ConfigError(f"space must be a file or a bundled name, got {str(source)!r}{hint}")
    return path


def _tree(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"a.b": 1}` as `{"a": {"b": 1}}`."""
    tree: dict[str, Any] = {}
    for name, value in dotted.items():
        *parents, last = name.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return tree
