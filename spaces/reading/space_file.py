"""Space files: the tree of a config class, with ranges in place of values.

A range is a mapping in place of a value:

    choices: [a, b]                     one of these values
    low: 1, high: 8                     a number from low to high, both included; whole if the
                                        config's field is
    log: true                           uniform on a log scale
    step: 2                             low, low + 2, ...
    ramp: {low: 0.1, high: 4}           stage weights from first to last, by their ratio
    free: 7                             seven stage weights
    when: {loss.distillation: mse}      only where another parameter has this value, or one of a
                                        list of values, or, with `{not: 0}`, another value

A parameter that has no effect given the values of the others is left out automatically, without
`when`. A file may also have the keys `limits`, `start_from`, `search` and `presets`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from spaces.conditions import order_by_conditions
from spaces.dimensions import PRESET, Choice, Condition, Dimension, Value
from spaces.effects import EffectConditions, UnvariedValues
from spaces.files.complaints import Complaint, did_you_mean
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import YamlDocument, read_yaml
from spaces.reading.header import Header, Trees, split_header
from spaces.reading.space_checks import condition_complaints, inactive_complaints, value_complaints
from spaces.reading.split_tree import SplitTree
from spaces.space import Space
from spaces.trees import drop_values, flatten, merge_trees, set_value

PRESETS_DIR = Path(__file__).parents[1] / "presets"
CAN_NEVER_HOLD = "can never hold: no value of {} meets all of its conditions"
NEVER_MATTERS = "where its condition holds it has no effect, whatever {} is"


def bundled_spaces() -> dict[str, Path]:
    """Return the files of the spaces that come with Veer, by name."""
    return {path.stem: path for path in sorted(PRESETS_DIR.glob("*.yaml"))}


def read_space(
    source: str | Path, config_class: type[BaseModel], presets: Trees | None = None
) -> Space:
    """Read a space and check it against the class of the configs that it describes.

    Args:
        source: A file, or the name of a bundled space as text.
        config_class: The class for which `Space.tree` must be valid. Each bound, choice and
            preset is tried. Its `needs` state what has an effect (see spaces/effects.py).
        presets: Config trees by name, from which the file may choose.

    Raises:
        ConfigError: All mistakes found, one per line: `FILE:LINE: key.path: rule, got VALUE`.
    """
    document = read_yaml(space_file(source))
    file = split_header(document.data, presets or {})
    split = SplitTree()
    split.read(file.rest, (), [config_class], tuple(Header.model_fields))
    # Together, so that all are reported at once; the checks below need a sound file.
    _raise_faults(document, file.faults + split.faults)
    if not split.dimensions and not file.presets:
        raise ConfigError(
            f"{document.path}: nothing to search: no setting has choices or low and high"
        )
    trees = _complete_presets(file.presets, split.fixed, config_class)
    fixed, dimensions = _with_effect_conditions(document, split, trees, config_class)
    stage_weights = {
        name: each.with_parts(dimensions) for name, each in split.stage_weights.items()
    }
    space = Space(
        name=document.path.stem,
        fixed=fixed,
        dimensions=dimensions,
        stage_weights=stage_weights,
        presets=trees,
        limits=file.header.limits,
        start_from=file.header.start_from,
        search=file.header.search,
    )
    _raise_faults(document, value_complaints(space, config_class))
    return space


def _with_effect_conditions(
    document: YamlDocument, split: SplitTree, trees: Trees, config_class: type[BaseModel]
) -> tuple[dict[str, Any], tuple[Dimension, ...]]:
    """Return the fixed values, and the dimensions with the config class's `needs` as conditions.

    The file's own conditions are checked before those of the class are added, so that a fault is
    reported in terms of what the user wrote.
    """
    unvaried = _unvaried_values(split.fixed, trees, config_class)
    dimensions = _on_presets(split.dimensions, unvaried)
    if trees:
        # First, since any condition on a setting of the presets becomes one on the preset.
        dimensions.insert(0, Choice(name=PRESET, choices=tuple(trees)))
    _raise_faults(document, condition_complaints(dimensions, unvaried.fixed))
    ordered = _ordered(document, dimensions)
    _raise_faults(document, inactive_complaints(ordered, unvaried.fixed, CAN_NEVER_HOLD))
    # A fixed value that only some families have becomes a dimension of one choice, so that a
    # condition sets it for those families only.
    single = {
        name: Choice(name=name, choices=(value,))
        for name, value in unvaried.fixed.items()
        if name in split.family_conditions and isinstance(value, Value)
    }
    by_name = {each.name: each for each in [*ordered, *single.values()]}
    effects = EffectConditions(by_name, unvaried)
    table = dict(getattr(config_class, "needs", {}))
    for key, condition in split.family_conditions.items():
        table[key] = (condition, *table.get(key, ()))
    for key in table:
        effects.add_needs(key, _dimension_names(key, split, effects.dimensions), table)
    _raise_faults(document, effects.faults)
    found = effects.dimensions
    varied = [each for name, each in found.items() if name not in single]
    chosen = {name: each for name, each in found.items() if name in single and each.when}
    ordered = _ordered(document, [*varied, *chosen.values()])
    _raise_faults(document, inactive_complaints(ordered, unvaried.fixed, NEVER_MATTERS))
    return drop_values(split.fixed, frozenset(chosen)), ordered


def _dimension_names(
    key: str, split: SplitTree, dimensions: Mapping[str, Dimension]
) -> list[str]:
    """Return the dimensions that make up the value of a config key; several for stage weights."""
    if key in split.stage_weights:
        return [each.name for each in split.stage_weights[key].parts]
    return [key] if key in dimensions else []


def _complete_presets(
    trees: Trees, fixed: Mapping[str, Any], config_class: type[BaseModel]
) -> Trees:
    """Return the presets, each with a value for every setting that any of them sets.

    A setting that a preset does not set gets the config's default, so that `Space.params_of` can
    distinguish this preset from one that sets another value.
    """
    stated = {name for tree in trees.values() for name in flatten(tree)}
    found = {}
    for preset, tree in trees.items():
        full, own = _flat_config(merge_trees(tree, fixed), config_class), flatten(tree)
        found[preset] = merge_trees(tree)
        for name in sorted(stated - own.keys()):
            if name in full:
                set_value(found[preset], name, full[name])
    return found


def _unvaried_values(
    fixed: Mapping[str, Any], trees: Trees, config_class: type[BaseModel]
) -> UnvariedValues:
    return UnvariedValues(
        fixed=flatten(fixed),
        presets={
            name: _flat_config(merge_trees(tree, fixed), config_class)
            for name, tree in trees.items()
        },
        defaults=_flat_config({}, config_class),
    )


def _flat_config(tree: Mapping[str, Any], config_class: type[BaseModel]) -> dict[str, Any]:
    """Return all values of a config by dotted name, or those of the tree if it is not valid."""
    try:
        return flatten(config_class.model_validate(tree).model_dump(mode="json"))
    except ValidationError:
        return flatten(tree)


def _on_presets(dimensions: list[Dimension], unvaried: UnvariedValues) -> list[Dimension]:
    """Replace conditions on settings that only presets set by conditions on the preset."""
    names = {*unvaried.fixed, *(each.name for each in dimensions)}

    def moved(condition: Condition) -> Condition:
        if condition.parameter in names or not unvaried.presets:
            return condition
        good, _, _ = unvaried.split_presets(condition)
        is_known = any(condition.parameter in values for values in unvaried.presets.values())
        return Condition(parameter=PRESET, values=tuple(good)) if good and is_known else condition

    return [
        each.model_copy(update={"when": tuple(map(moved, each.when))}) if each.when else each
        for each in dimensions
    ]


def _ordered(document: YamlDocument, dimensions: list[Dimension]) -> tuple[Dimension, ...]:
    try:
        return order_by_conditions(dimensions)
    except ValueError as error:
        raise ConfigError(f"{document.path}: {error}") from error


def space_file(source: str | Path) -> Path:
    """Return the file that a source names: the path itself, or the file of a bundled space.

    Raises:
        ConfigError: There is no such file or bundled space; with the nearest name.
    """
    bundled = bundled_spaces()
    # Only text can name a bundled space, so a `Path` is a file even with the name of one.
    if isinstance(source, str) and source in bundled:
        return bundled[source]
    if isinstance(source, str) and not Path(source).exists():
        hint = did_you_mean(source, bundled)
        raise ConfigError(f"no space file or bundled space {source!r}{hint}")
    return Path(source)


def _raise_faults(document: YamlDocument, faults: list[Complaint]) -> None:
    """Raise a `ConfigError` with all faults, each with its file and line; none: return."""
    if faults:
        lines = (f"{document.location_of(fault.keys)}: {fault}" for fault in dict.fromkeys(faults))
        raise ConfigError("\n".join(lines))
