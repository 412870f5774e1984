"""Space files: the tree of a config class, with ranges in place of values.

A range stands where the config has a value, and is a mapping:

    choices: [a, b]                     one of these
    low: 1, high: 8                     a number between closed bounds, whole if the config's is
    log: true                           evenly on a log scale
    step: 2                             low, low + 2, ...
    ramp: {low: 0.1, high: 4}           stage weights from first to last, by their ratio
    free: 7                             seven stage weights
    when: {loss.distillation: mse}      only where another parameter has this value, or one of
                                        a list of values, or with `{not: 0}` has it not

A parameter that has no effect beside the others' values is left out by itself, no `when` needed.
Beside the config's keys a file may have `limits`, `start_from`, `search` and `presets`.
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
CAN_NEVER_HOLD = "can never hold: no value of {} meets all conditions on the way here"
NEVER_MATTERS = "where its condition holds it has no effect, whatever {} is"


def bundled_spaces() -> dict[str, Path]:
    """The spaces that come with Veer: name to file."""
    return {path.stem: path for path in sorted(PRESETS_DIR.glob("*.yaml"))}


def read_space(
    source: str | Path, config_class: type[BaseModel], presets: Trees | None = None
) -> Space:
    """Read a space and check it against the config that its values will go into.

    Args:
        source: A file, or as text the name of a bundled space.
        config_class: What `Space.tree` must be valid for. Each bound, choice and preset is
            tried. Its `needs` say what has an effect (see spaces/effects.py).
        presets: Config trees by name, from which the file may choose.

    Raises:
        ConfigError: Every mistake found, one a line: `FILE:LINE: key.path: rule, got VALUE`.
    """
    document = read_yaml(space_file(source))
    parted = split_header(document.data, presets or {})
    parting = SplitTree()
    parting.read(parted.rest, (), [config_class], tuple(Header.model_fields))
    _refuse(document, parted.faults + parting.faults)
    if not parting.dimensions and not parted.presets:
        raise ConfigError(
            f"{document.path}: nothing to search: no setting has choices or low and high"
        )
    trees = _completed(parted.presets, parting.fixed, config_class)
    fixed, dimensions = _conditioned(document, parting, trees, config_class)
    space = Space(
        name=document.path.stem,
        fixed=fixed,
        dimensions=dimensions,
        made={name: made.with_parts(dimensions) for name, made in parting.made.items()},
        presets=trees,
        limits=parted.header.limits,
        start_from=parted.header.start_from,
        search=parted.header.search,
    )
    _refuse(document, value_complaints(space, config_class))
    return space


def _conditioned(
    document: YamlDocument, parting: SplitTree, trees: Trees, config_class: type[BaseModel]
) -> tuple[dict[str, Any], tuple[Dimension, ...]]:
    """Fixed values and dimensions, with what the config class says of effects as conditions."""
    around = _surroundings(parting.fixed, trees, config_class)
    dimensions = _on_presets(parting.dimensions, around)
    if trees:
        dimensions.insert(0, Choice(name=PRESET, choices=tuple(trees)))
    _refuse(document, condition_complaints(dimensions, around.fixed))
    ordered = _ordered(document, dimensions)
    _refuse(document, inactive_complaints(ordered, around.fixed, CAN_NEVER_HOLD))
    # A fixed value that only some families have is set for those only.
    single = {
        name: Choice(name=name, choices=(value,))
        for name, value in around.fixed.items()
        if name in parting.partly and isinstance(value, Value)
    }
    laid = EffectConditions({each.name: each for each in [*ordered, *single.values()]}, around)
    table = dict(getattr(config_class, "needs", {}))
    for key, condition in parting.partly.items():
        table[key] = (condition, *table.get(key, ()))
    for key in table:
        laid.lay(key, _parts(key, parting, laid.dimensions), table)
    _refuse(document, laid.faults)
    varied = {name: each for name, each in laid.dimensions.items() if name not in single}
    chosen = {name: each for name, each in laid.dimensions.items() if name in single and each.when}
    ordered = _ordered(document, [*varied.values(), *chosen.values()])
    _refuse(document, inactive_complaints(ordered, around.fixed, NEVER_MATTERS))
    return drop_values(parting.fixed, frozenset(chosen)), ordered


def _parts(key: str, parting: SplitTree, dimensions: Mapping[str, Dimension]) -> list[str]:
    """The dimensions that make up the value of a config key."""
    if key in parting.made:
        return [each.name for each in parting.made[key].parts]
    return [key] if key in dimensions else []


def _completed(trees: Trees, fixed: Mapping[str, Any], config_class: type[BaseModel]) -> Trees:
    """Presets of which each states what any of them states, if need be as the config's default.

    So a preset that leaves a setting alone is told from one that sets it.
    """
    stated = {name for tree in trees.values() for name in flatten(tree)}
    found = {}
    for preset, tree in trees.items():
        full, own = _full(merge_trees(tree, fixed), config_class), flatten(tree)
        found[preset] = merge_trees(tree)
        for name in sorted(stated - own.keys()):
            if name in full:
                set_value(found[preset], name, full[name])
    return found


def _surroundings(
    fixed: Mapping[str, Any], trees: Trees, config_class: type[BaseModel]
) -> UnvariedValues:
    return UnvariedValues(
        fixed=flatten(fixed),
        presets={
            name: _full(merge_trees(tree, fixed), config_class) for name, tree in trees.items()
        },
        defaults=_full({}, config_class),
    )


def _full(tree: Mapping[str, Any], config_class: type[BaseModel]) -> dict[str, Any]:
    """All values of a config by dotted name; where the tree is not valid, those that it has."""
    try:
        return flatten(config_class.model_validate(tree).model_dump(mode="json"))
    except ValidationError:
        return flatten(tree)


def _on_presets(dimensions: list[Dimension], around: UnvariedValues) -> list[Dimension]:
    """The dimensions, their conditions on what only presets set as conditions on the preset."""
    names = {*around.fixed, *(each.name for each in dimensions)}

    def moved(condition: Condition) -> Condition:
        if condition.parameter in names or not around.presets:
            return condition
        good, _, _ = around.parted(condition)
        is_known = any(condition.parameter in values for values in around.presets.values())
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
    """The file that a source means: itself, or a bundled space's.

    Raises:
        ConfigError: There is none; with the nearest name.
    """
    bundled = bundled_spaces()
    if isinstance(source, str) and source in bundled:
        return bundled[source]
    if isinstance(source, str) and not Path(source).exists():
        hint = did_you_mean(source, bundled)
        raise ConfigError(f"no space file or bundled space {source!r}{hint}")
    return Path(source)


def _refuse(document: YamlDocument, faults: list[Complaint]) -> None:
    if faults:
        lines = (f"{document.location_of(fault.keys)}: {fault}" for fault in dict.fromkeys(faults))
        raise ConfigError("\n".join(lines))
