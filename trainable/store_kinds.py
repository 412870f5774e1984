"""What a store holds, in a person's words: the kinds that Veer has."""

from models.frontend import HOP_SAMPLES, SAMPLE_RATE_HZ
from trainable.features.request import LOG_MELS
from trainable.store.plan import StorePlan
from trainable.teachers.targets import STEM as TARGETS

SHOWN_DIGITS = 12
HOUR_S = 3_600


def kind_of(plan: StorePlan) -> str:
    """The kind of a store, with what tells two of the same corpus apart.

    For log-mels the number of the augmented copy; for targets the first digits of the SHA-256 of
    the teacher's file, and the bank of crops.
    """
    settings = plan.settings
    if plan.kind.stem == TARGETS:
        copy = f" of copy {settings['copy']}" if settings["copy"] else ""
        return (
            f"targets of teacher {settings['teacher_sha256'][:SHOWN_DIGITS]}{copy}, "
            f"{settings['num_crops']} crops of {settings['crop_frames']} frames, "
            f"seed {settings['crop_seed']}"
        )
    augmentation = settings.get("augmentation")
    return "log-mels" if augmentation is None else f"log-mels, copy {augmentation['copy']}"


def amount_of(plan: StorePlan, num_vectors: int) -> str:
    """Hours of log-mels, or crops of targets."""
    if plan.kind.stem == LOG_MELS.stem:
        return f"{num_vectors * HOP_SAMPLES / SAMPLE_RATE_HZ / HOUR_S:,.2f} hours"
    return f"{num_vectors:,} {plan.kind.vectors}"
