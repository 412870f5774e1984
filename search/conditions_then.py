"""What may change a bit between a trial's computation then and now."""

from collections.abc import Mapping, Sequence

from results.journal.journal import Record
from search.provenance.data_record import SHORT, changed_stores
from search.provenance.differences import UNKNOWN, changed, changed_variables
from search.provenance.provenance import CODE_DIGITS
from search.review.recorded_trial import RecordedTrial, Sitting

# Variables that choose other kernels, or how threads share the work, and so round otherwise. The
# number of threads (OMP_NUM_THREADS) is set by every trial, and compared itself.
NUMERIC = (
    "ATEN_", "CUBLAS_", "DNNL_", "KMP_DETERMINISTIC_REDUCTION", "KMP_FORCE_REDUCTION", "MKL_",
    "NVIDIA_", "OMP_DYNAMIC", "OMP_SCHEDULE", "OMP_THREAD_LIMIT", "ONEDNN_", "TORCHINDUCTOR_",
    "TORCH_",
)  # fmt: skip
WORDS = {"cpu": "CPU", "torch_cpu_capability": "CPU capability", "torch": "torch build"}


def conditions_differ(
    trial: RecordedTrial, records: Sequence[Record], now: Sitting, stores: Mapping[str, str]
) -> list[str]:
    """What differs between each time that the trial was begun and now, a sentence each.

    Args:
        trial: As recorded.
        records: The journal.
        now: Where it runs now, and what of.
        stores: Keys of the stores of log-mels now, by name.
    """
    facts = _facts(now)
    told = [
        changed(name, then.get(name, UNKNOWN), value)
        for sitting in trial.sittings
        for then in (_facts(sitting),)
        for name, value in facts.items()
        if then.get(name, UNKNOWN) != value
    ]
    for sitting in trial.sittings:
        told += changed_variables(sitting.provenance, now.provenance, NUMERIC)
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
        "python": ".".join((hardware.get("python") or "").split(".")[:2]) or None,
        "Veer's code": (led.get("code_sha256") or "")[:CODE_DIGITS] or None,
        "model": place.get("model_hash"),
        "config": place.get("config_hash"),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}
