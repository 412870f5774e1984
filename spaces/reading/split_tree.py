"""The tree of a space file, split into fixed values and dimensions."""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from spaces.dimensions import Choice, Condition, Dimension, Float, Integer, Value
from spaces.effects import unless
from spaces.files.complaints import (
    Complaint,
    Keys,
    complaints,
    config_classes_in,
    did_you_mean,
    dotted,
)
from spaces.reading.own_keys import RANGE_MARKERS, allows_extra_keys, is_candidate, own_range_class
from spaces.stage_weights import StageWeights, StageWeightsRange
from spaces.trees import set_value

STAGE_WEIGHTS_KEYS = frozenset({"ramp", "free"})


class SplitTree:
    """The parts of a space file's tree, filled by `read`.

    Attributes:
        fixed: The tree of the values that do not vary.
        dimensions: The dimensions in the order of the file, including the parts of stage weights.
        stage_weights: Stage weights by dotted name.
        family_conditions: Keys that only some of the possible config classes have, each with the
            condition on the tag of the class (`model.family`).
        faults: Keys and ranges that the config classes do not accept.
    """

    def __init__(self) -> None:
        self.fixed: dict[str, Any] = {}
        self.dimensions: list[Dimension] = []
        self.stage_weights: dict[str, StageWeights] = {}
        self.family_conditions: dict[str, Condition] = {}
        self.faults: list[Complaint] = []

    def read(
        self,
        node: Mapping[str, Any],
        keys: tuple[str, ...],
        classes: list[type[BaseModel]],
        more_keys: tuple[str, ...] = (),
    ) -> None:
        """Read a part of the tree, which will be a config of one of the classes.

        Args:
            node: The part.
            keys: Its location: the keys from the root.
            classes: The config classes that it may have.
            more_keys: Keys that are read elsewhere, for the hint about an unknown key.
        """
        fitting = _matching_classes(classes, node)
        annotations = _annotations(fitting)
        is_open = any(map(allows_extra_keys, fitting))
        for key, value in node.items():
            here = (*keys, key)
            if key not in annotations and not is_open:
                hint = did_you_mean(key, [*annotations, *more_keys])
                self._add_fault(here, f"unknown key{hint}")
                continue
            if lacking := _tag_lacking(fitting, key):
                tag, families = lacking
                self.family_conditions[dotted(here)] = unless(dotted((*keys, tag)), *families)
            self._read_value(here, value, annotations.get(key))

    def _read_value(
        self, keys: tuple[str, ...], value: object, annotations: list[object] | None
    ) -> None:
        """Read the value of a key; without annotations it is an open key of a user's own model."""
        known = annotations or []
        inner = [model for each in known for model in config_classes_in(each)]
        own_kind = own_range_class(value) if annotations is None else None
        is_own_value = annotations is None and own_kind is None
        # A field whose type is a mapping (`weights: dict[str, float]`) takes no range: its value
        # could have a key `low` of its own.
        if not isinstance(value, Mapping) or is_own_value or _mappings_in(known):
            set_value(self.fixed, dotted(keys), value)
        elif inner:
            self.read(value, keys, inner)
        elif own_kind is not None:
            self._add_range(keys, value, own_kind)
        elif _is_number_list(known):
            self._add_stage_weights(keys, value)
        elif STAGE_WEIGHTS_KEYS & value.keys():
            self._add_fault(keys, "takes no ramp and no free weights: it is not a list of numbers")
        else:
            self._add_range(keys, value, _number_kind(known))

    def _add_range(
        self, keys: Keys, spec: Mapping[str, Any], number: type[Dimension] | None
    ) -> None:
        kind = Choice if "choices" in spec else number
        if kind is None:
            return self._add_fault(keys, "takes no number: give its values as choices: [...]")
        if (built := self._build(kind, keys, spec)) is not None:
            self.dimensions.append(built)
        return None

    def _add_stage_weights(self, keys: Keys, spec: Mapping[str, Any]) -> None:
        if RANGE_MARKERS & spec.keys():
            text = "takes a list of numbers: give ramp: {low: ..., high: ...} or free: NUMBER"
            return self._add_fault(keys, text)
        if (built := self._build(StageWeightsRange, keys, spec)) is not None:
            weights = built.build()
            self.stage_weights[weights.name] = weights
            self.dimensions += weights.parts
        return None

    def _build(self, kind: type[Any], keys: Keys, spec: Mapping[str, Any]) -> Any:
        """Return an instance of `kind`, or None after recording the faults of the file."""
        known = [name for name in kind.model_fields if name != "name"]
        for key in spec:
            if key not in known:
                self._add_fault((*keys, key), f"unknown key{did_you_mean(key, known)}")
        data = {key: value for key, value in spec.items() if key in known}
        try:
            return kind.model_validate({**data, "name": dotted(keys)})
        except ValidationError as error:
            for fault in complaints(kind, error, data):
                self._add_fault((*keys, *fault.keys), fault.text)
        return None

    def _add_fault(self, keys: Keys, text: str) -> None:
        self.faults.append(Complaint(keys=keys, text=text))


def _matching_classes(
    classes: list[type[BaseModel]], node: Mapping[str, Any]
) -> list[type[BaseModel]]:
    """Return the classes of a union that agree with the node's literal fields (`family`).

    A literal field that only some of the classes have does not tell them apart: it is a setting of
    these. A class with open keys fits only where it is named.
    """
    # If no class fits, keep all: the validation of the config then reports the fault.
    classes = [model for model in classes if is_candidate(model, node)] or classes
    literal = {name for model in classes for name in _literals(model)}
    shared = [name for name in literal if all(name in model.model_fields for model in classes)]
    for name in shared if len(classes) > 1 else ():
        wanted = _named_values(node.get(name))
        if wanted is None:
            continue
        named = {value for model in classes for value in _literals(model).get(name, ())}
        closed = [m for m in classes if set(_literals(m).get(name, ())) & set(wanted)]
        is_other = any(value not in named for value in wanted)
        open_ones = [m for m in classes if name not in _literals(m)] if is_other else []
        classes = closed + open_ones or classes
    return classes


def _named_values(value: object) -> list[Value] | None:
    """Return the words that the node allows for a literal field, None if it names none."""
    if isinstance(value, Mapping) and isinstance(value.get("choices"), list):
        return [each for each in value["choices"] if isinstance(each, str)] or None
    return [value] if isinstance(value, str) else None


def _literals(model: type[BaseModel]) -> dict[str, tuple[Any, ...]]:
    return {
        name: get_args(field.annotation)
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is Literal
    }


def _tag_lacking(classes: list[type[BaseModel]], key: str) -> tuple[str, list[Any]] | None:
    """Return the tag field of the classes, and its values in those that lack the key.

    None if all classes have the key, or no field distinguishes those that lack it.
    """
    without = [
        model
        for model in classes
        if key not in model.model_fields and not allows_extra_keys(model)
    ]
    tags = {name for model in without for name in _literals(model)}
    shared = [tag for tag in tags if all(tag in model.model_fields for model in classes)]
    if not shared:
        return None
    return shared[0], [value for model in without for value in _literals(model)[shared[0]]]


def _annotations(classes: list[type[BaseModel]]) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for model in classes:
        for name, field in model.model_fields.items():
            found.setdefault(name, []).append(field.annotation)
    return found


def _types_in(annotation: object) -> set[object]:
    # The arguments of a Literal are values, not types.
    inner = get_args(annotation) if get_origin(annotation) is not Literal else ()
    return {get_origin(annotation) or annotation}.union(*map(_types_in, inner))


def _all_types(annotations: list[object]) -> set[object]:
    return set().union(*map(_types_in, annotations))


def _mappings_in(annotations: list[object]) -> bool:
    types = _all_types(annotations)
    return any(isinstance(each, type) and issubclass(each, Mapping) for each in types)


def _is_number_list(annotations: list[object]) -> bool:
    types = _all_types(annotations)
    return bool(types & {list, tuple}) and bool(types & {float, int})


def _number_kind(annotations: list[object]) -> type[Float] | type[Integer] | None:
    types = _all_types(annotations)
    if float in types:
        return Float
    return Integer if int in types else None
