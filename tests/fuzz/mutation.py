"""Documents that are nearly right: valid ones in which a few places are not.

Text drawn at random is refused by the first line of a parser; what is nearly right gets further.
"""

import copy
import os
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Documents tried of each kind: a few in CI; set a larger number by hand.
NUM_EXAMPLES = int(os.environ.get("VEER_FUZZ_EXAMPLES", "0"))
# Milliseconds; what takes longer is a bomb.
DEADLINE_MS = 30_000

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**30, 0.5, -0.0, 1e-320,
    1e308, float("inf"), float("-inf"), float("nan"), "", " ", "0", "none", "null", "nan", "1e3",
    "..", "../../etc/passwd", "/", "/dev/null", ".", "~", "a\x00b", "\ufeff", "\x1b[2J",
    "\u202e", "[/bold]", "x" * 5000, "C:\\x", "os:system", "a.b:C", "models:SpeakerModel",
    "run:x#top0", "run:", "9" * 5000, [], {}, [[]], [{}], {"": 1}, {"low": 1}, {"choices": []},
    {"choices": [1, 1]}, {"low": 2, "high": 1}, {"low": float("nan"), "high": 1}, {"free": 10**9},
    {"low": 0, "high": 10**18}, {"low": 1, "high": 2, "step": 0}, {"ramp": {"low": 0, "high": 0}},
    {"choices": [{}, [], None]}, {"low": 0, "high": 1, "log": True}, {"when": {"a": 1}},
    {"choices": [1, 2], "when": {"": []}}, {"low": 1, "high": 4, "when": {"model": {"not": []}}},
)  # fmt: skip
# Put in at a line's end: what YAML knows beside plain values.
ODD_TEXTS = (
    "!!python/object/apply:os.system ['touch HACKED']", "!!python/name:os.system",
    "!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2001-01-01", "!!int x",
    "!!float 1", "!!str [a]", "!!map x", "!!seq {}", "!veer x", "! x", "&a [*a]", "*missing",
    "&a {b: *a}", "<<: {a: 1}", "? [a, b]\n: c", "? !!str [a]\n: c", "? {a: 1}\n: c",
    "\tx: 1", "---\na: 1", "...\n%YAML 9.9", "%TAG ! x", "\x00", "\ufeff", "\x85", "{", "]", "|",
    ">\n  x", '"\\x"', '"\\ud800"', "'", "#", "a: a: a", "- - - x", "@x", "`", "1_000", "0o9",
    "0x", "1e999", "-.inf", ".nan", "9" * 5000, "[" * 2000, "{a: " * 500, "- " * 2000,
    "!!null x", "!!bool yes", "0o" + "7" * 5000, "1:30", "2001-01-01", "=", "<<", "~",
)  # fmt: skip

Path = tuple[str | int, ...]


def fuzzed(num_examples: int) -> settings:
    """The same examples in each run, unless `VEER_FUZZ_EXAMPLES` asks for others and more."""
    return settings(
        max_examples=NUM_EXAMPLES or num_examples,
        derandomize=not NUM_EXAMPLES,
        database=None,
        deadline=DEADLINE_MS,
        suppress_health_check=list(HealthCheck),
    )


def places(tree: Any, at: Path = ()) -> list[Path]:
    """Every place in a tree of mappings and lists, the root first."""
    found = [at]
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            found += places(value, (*at, key))
    return found


def mutated(tree: Any, odd: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """The tree with one to four places changed."""
    values = st.sampled_from(ODD_VALUES) if odd is None else odd

    @st.composite
    def draw_tree(draw: st.DrawFn) -> Any:
        made = copy.deepcopy(tree)
        for _ in range(draw(st.integers(1, 4))):
            made = _changed(draw, made, values)
        return made

    return draw_tree()


def _changed(draw: st.DrawFn, tree: Any, values: st.SearchStrategy[Any]) -> Any:
    place = draw(st.sampled_from(places(tree)))
    value = copy.deepcopy(draw(values))
    if not place:
        return tree if draw(st.integers(0, 9)) else value
    parent = tree
    for key in place[:-1]:
        parent = parent[key]
    last: Any = place[-1]
    match draw(st.sampled_from(["replace", "replace", "delete", "rename", "wrap", "add", "move"])):
        case "replace":
            parent[last] = value
        case "delete":
            del parent[last]
        case "wrap":
            parent[last] = draw(st.sampled_from([[parent[last]], {"choices": [parent[last]]}]))
        case "rename" if isinstance(parent, dict):
            end = draw(st.sampled_from(["x", "", " ", ".a", "[0]"]))
            parent[f"{last}{end}"] = parent.pop(last)
        case "add" if isinstance(parent, dict):
            parent[draw(st.sampled_from(["", "x", "model", "when", "a.b", "x" * 999]))] = value
        case "move":
            other = draw(st.sampled_from(places(tree)))
            found = tree
            for key in other:
                found = found[key]
            parent[last] = copy.deepcopy(found)
    return tree


def yaml_texts(tree: Any) -> st.SearchStrategy[bytes]:
    """Files nearly like the one that holds the tree."""

    @st.composite
    def draw_text(draw: st.DrawFn) -> bytes:
        text = yaml.dump(draw(mutated(tree)), Dumper=yaml.SafeDumper, sort_keys=False)
        lines = text.split("\n")
        for _ in range(draw(st.integers(0, 2))):
            number = draw(st.integers(0, len(lines) - 1))
            odd = draw(st.sampled_from(ODD_TEXTS) | st.text(max_size=20))
            head = lines[number].partition(":")[0]
            lines[number] = draw(st.sampled_from([odd, f"{head}: {odd}", lines[number] + odd]))
        encoding = draw(st.sampled_from(["utf-8"] * 8 + ["utf-16"]))
        return "\n".join(lines).encode(encoding, "replace")

    return draw_text() | st.binary(max_size=200)
