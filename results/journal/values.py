"""Rules for the values of a record, plain or nested: each a description and its test."""

import math
from collections.abc import Callable
from typing import Any

Rule = tuple[str, Callable[[Any], bool]]

# The tables store whole numbers in 64 bits.
INT64_LIMIT = 2**63
# `veer reproduce` computes with the recorded number of threads, so an absurd one must not pass.
MOST_THREADS = 1024
VIOLATION = frozenset({"limit", "value", "allowed", "is_estimated", "text"})
# Fields of a benchmark row that must be numbers.
ROW_NUMBERS = frozenset(
    {
        "num_params",
        "macs",
        "batch_size",
        "num_threads",
        "latency_median_ms",
        "latency_p95_ms",
        "samples_per_s",
        "real_time_factor",
    }
)
LIST_COUNTS = frozenset({"num_utterances", "num_speakers", "num_trial_pairs"})
PROVENANCE_TEXTS = ("command", "folder", "python", "code_sha256")


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < INT64_LIMIT


def is_number(value: Any) -> bool:
    """Return whether a value is a float that is not NaN or infinite, or `is_whole`."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("source"), str)
        # The default has a wrong type, so that a missing key is refused and null is not.
        and isinstance(value.get("params", ""), dict | None)
        and _is_list_of(str, value.get("remarks"))
    )


def _is_violation(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= VIOLATION
        and isinstance(value.get("limit"), str)
        and is_number(value.get("value"))
        and is_number(value.get("allowed"))
        and isinstance(value.get("text"), str | None)
        # `Violation.excess` divides by the limit.
        and (value.get("text") is not None or value["allowed"] != 0)
    )


def _is_settings(value: Any) -> bool:
    success = (value.get("success") or {}) if isinstance(value, dict) else None
    return isinstance(success, dict) and all(
        each is None or is_number(each) for each in success.values()
    )


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_hardware(value: Any) -> bool:
    """Return whether a value is one of `describe_hardware`; unknown fields may be absent."""
    return (
        isinstance(value, dict)
        and all(each is None or isinstance(each, str) or is_whole(each) for each in value.values())
        and isinstance(value.get("python"), str | None)
    )


def _is_provenance(value: Any) -> bool:
    """Return whether a value is a provenance; older versions of Veer recorded fewer fields."""
    if not isinstance(value, dict):
        return False
    git, cuda = value.get("git"), value.get("cuda")
    return (
        all(isinstance(value.get(name), str | None) for name in PROVENANCE_TEXTS)
        and all(_is_texts(value.get(name) or {}) for name in ("versions", "environment"))
        and (value.get("packages") is None or _is_list_of(str, value["packages"]))
        and (value.get("hardware") is None or _is_hardware(value["hardware"]))
        and (git is None or (isinstance(git, dict) and isinstance(git.get("commit"), str | None)))
        and isinstance(cuda, dict | None)
    )


def _is_listing(value: Any) -> bool:
    """Return whether a value has SHA-256, and where known file and counts, of lists by role."""
    return isinstance(value, dict) and all(
        isinstance(each, dict)
        and isinstance(each.get("file"), str | None)
        and isinstance(each.get("sha256"), str)
        and all(_is_count(each.get(name, 0)) for name in LIST_COUNTS)
        for each in value.values()
    )


def _is_benchmark_row(value: Any) -> bool:
    """Return whether a value has the fields of `results.export.benchmark.BenchmarkRow`."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("model"), str)
        and all(is_number(value.get(name)) for name in ROW_NUMBERS)
        and (value.get("speed_ratio") is None or is_number(value["speed_ratio"]))
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


COUNT_RULE: Rule = ("a whole number of at least 0", _is_count)
WHOLE_RULE: Rule = ("a whole number", is_whole)
NUMBER_RULE: Rule = ("a number", is_number)
NUMBER_OR_NULL_RULE: Rule = ("a number or null", lambda value: value is None or is_number(value))
NUMBERS_OR_NULL_RULE: Rule = (
    "a list of numbers or null",
    lambda value: (
        value is None
        or (isinstance(value, list) and all(x is None or is_number(x) for x in value))
    ),
)
TEXT_RULE: Rule = ("text", lambda value: isinstance(value, str))
TEXT_OR_NULL_RULE: Rule = ("text or null", lambda value: isinstance(value, str | None))
TEXTS_RULE: Rule = ("a list of text", lambda value: _is_list_of(str, value))
MAPPING_RULE: Rule = ("a mapping", lambda value: isinstance(value, dict))
THREADS_RULE: Rule = (
    f"a whole number from 1 to {MOST_THREADS}",
    lambda value: is_whole(value) and 1 <= value <= MOST_THREADS,
)
HARDWARE_RULE: Rule = ("a mapping of text and whole numbers, its python text", _is_hardware)
PROVENANCE_RULE: Rule = (
    "a mapping with versions and environment of text, packages a list of text, hardware, git and "
    "cuda mappings",
    _is_provenance,
)
LISTS_RULE: Rule = ("a mapping of lists by role, each with sha256", _is_listing)
STORES_RULE: Rule = ("a mapping of keys, which are text, by name", _is_texts)
ROWS_RULE: Rule = (
    "a list of rows, each with model, " + ", ".join(sorted(ROW_NUMBERS)),
    lambda value: isinstance(value, list) and all(_is_benchmark_row(row) for row in value),
)
SETTINGS_RULE: Rule = ("a mapping, its success one of numbers", _is_settings)
POINTS_RULE: Rule = (
    "a list of mappings with source, params and remarks",
    lambda value: isinstance(value, list) and all(_is_point(each) for each in value),
)
VIOLATIONS_RULE: Rule = (
    "a list of mappings with limit, value and allowed",
    lambda value: isinstance(value, list) and all(_is_violation(each) for each in value),
)
