"""What may change a bit between a trial's computation then and now."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.journal import Record
from search.corpus_record import SHORT, changed_stores, corpus_facts
from search.differences import UNKNOWN, UNSET, changed
from search.provenance import CODE_DIGITS, provenance
from search.recorded_trial import RecordedTrial, Sitting
from trainable.data import TrainingData

# Variables that choose other kernels, and so round otherwise.
NUMERIC = ("ATEN_", "CUBLAS_", "DNNL_", "MKL_", "NVIDIA_", "ONEDNN_")
WORDS = {"cpu": "CPU", "torch_cpu_capability": "CPU capability", "torch": "torch build"}


def conditions_differ(
    trial: RecordedTrial, records: Sequence[Record], place: Mapping[str, Any], data: TrainingData
) -> list[str]:
    """What differs between each time that the trial was begun and now, a sentence each.

    Args:
        trial: As recorded.
        records: The journal.
        place: Where it runs now, as `trainable.trial.place_of` gives it.
        data: The corpus now.
    """
    now = Sitting(place=dict(place), provenance=provenance())
    facts = _facts(now)
    told = [
        changed(name, then.get(name, UNKNOWN), value)
        for sitting in trial.sittings
        for then in (_facts(sitting),)
        for name, value in facts.items()
        if then.get(name, UNKNOWN) != value
    ]
    for sitting in trial.sittings:
        told += _variables(sitting.provenance, now.provenance)
    stores = corpus_facts(trial.corpus, data)["stores"]
    told += [
        changed(f"store {name!r} of the log-mels (sizes and times of the audio)", *keys)
        for name, (then_key, now_key) in changed_stores(stores, records).items()
        for keys in ((then_key[:SHORT], now_key[:SHORT]),)
    ]
    return list(dict.fromkeys(told))


def _facts(sitting: Sitting) -> dict[str, str]:
    """All that must be equal for the same bits, by name, as text."""
    place, led = sitting.place, sitting.provenance
    hardware = place["hardware"]
    facts = {
        **{word: hardware.get(name) for name, word in WORDS.items()},
        "device": place["device"],
        "threads": place["num_threads"],
        **(led.get("versions") or {}),
        "python": ".".join(hardware.get("python", "").split(".")[:2]) or None,
        "Veer's code": (led.get("code_sha256") or "")[:CODE_DIGITS] or None,
        "model": place.get("model_hash"),
        "config": place.get("config_hash"),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _variables(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    one, two = (
        {
            name: value
            for name, value in (led.get("environment") or {}).items()
            if name.startswith(NUMERIC)
        }
        for led in (then, now)
    )
    return [
        changed(name, one.get(name, UNSET), two.get(name, UNSET))
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]
