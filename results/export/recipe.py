"""The comments of an exported config: what published systems train with, beside the search's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig

WESPEAKER = "WeSpeaker"
FINE_TUNING = "large-margin fine-tuning, Thienpondt et al. 2021"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the recipe.

    Attributes:
        name: Dotted name of the setting in the exported file.
        value: A value that is published or usual.
        words: What it does, and where the value is from.
    """

    name: str
    value: object
    words: str


STEPS: Sequence[Step] = (
    Step("trial.training.optimizer", "sgd", f"SGD with momentum 0.9, nesterov; {WESPEAKER}"),
    Step("trial.training.lr", 0.1, f"for sgd, not for adam; {WESPEAKER}"),
    Step("trial.training.weight_decay", 0.0001, f"L2 penalty with sgd; {WESPEAKER}"),
    Step("trial.training.schedule", "exponential", f"falls in every step; {WESPEAKER}"),
    Step("trial.training.final_lr_ratio", 0.0005, f"the last rate over lr; {WESPEAKER}"),
    Step("trial.training.warmup_epochs", 6, f"epochs in which the rate rises; {WESPEAKER}"),
    Step("trial.loss.margin_rises_after", 20, f"epochs without a margin; {WESPEAKER}"),
    Step("trial.loss.margin_warmup_epochs", 20, f"epochs in which it rises; {WESPEAKER}"),
    Step("trial.training.average_last", 10, f"mean of the last, with ema_epochs=0; {WESPEAKER}"),
    Step("trial.training.ema_epochs", 1, "or an average over the steps, with average_last 0"),
    Step("trial.training.accumulate_steps", 4, "a batch in parts, if memory is short"),
    Step("trial.training.max_grad_norm", 5, "clips the gradient"),
    Step("trial.training.patience_epochs", 20, "ends without a better VEER for so long"),
    Step("trial.training.last_phase_epochs", 5, FINE_TUNING),
    Step("trial.training.last_phase_crop_frames", 600, "its crops, 6 s"),
    Step("trial.training.last_phase_margin", 0.5, "its margin"),
    Step("trial.training.last_phase_lr", 0.0001, "its constant rate"),
    Step("corpus.speed_factors", [0.9, 1.1], f"3 classes a speaker; {WESPEAKER}"),
)


def recipe_comments(
    searched: TrialConfig, corpus: CorpusConfig, *, has_stored_teacher: bool = False
) -> str:
    """Return the recipe of a full training as comments of a YAML file.

    Args:
        searched: The trial as the search trained it.
        corpus: The corpus of the search.
        has_stored_teacher: Whether the teacher is a file of embeddings, which has none of speech
            at another speed.
    """
    left_out = {"corpus.speed_factors"} if has_stored_teacher else set()
    if searched.model.fixed_frames:  # this family takes crops of one length
        left_out.add("trial.training.last_phase_crop_frames")
    steps = [step for step in STEPS if step.name not in left_out]
    lines = _lines(searched, {"trial": searched, "corpus": corpus}, steps)
    return "".join(f"# {line}\n" if line else "#\n" for line in lines)


def _lines(
    searched: TrialConfig, parts: Mapping[str, object], steps: Sequence[Step]
) -> Iterator[str]:
    yield "The settings below are those of the search, which trained short and plain:"
    yield f"{searched.training.max_epochs} epochs. A full training goes further. Each line is a"
    yield "setting, a value that is published or usual, and what the search used; set it below or"
    yield "by `veer train config.yaml --out FOLDER --set NAME=VALUE`. See docs/spaces.md."
    yield ""
    for step in steps:
        value = f"{step.name}={_compact(step.value)}"
        first, *names = step.name.split(".")
        used = reduce(getattr, names, parts[first])
        yield f"  {value:46} search: {_compact(used)}; {step.words}"
    yield ""


def _compact(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(f'{each:g}' for each in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
