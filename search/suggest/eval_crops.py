"""How many crops of a validation utterance the trials of a search embed after each epoch."""

from collections.abc import Callable, Sequence

from results.journal.history import latest
from results.journal.journal import Journal, Record
from spaces.space import Space
from trainable.config.trial_config import TrainingConfig, TrialConfig
from trainable.features.training_data import TrainingData

# What a crop costs to embed, over what it costs to learn from. Measured for MLP-Mixers of width 48
# and 192 on a CPU, in batches of 16 to 128: 0.23 to 0.26; of 256: 0.33 to 0.41.
COST_OF_EMBEDDING = 1 / 3
MAX_EVAL_SHARE = 1 / 5


def expected_eval_share(num_train: int, num_val: int, num_crops: int) -> float:
    """Validation's part of an epoch's time, 0 to 1, by the cost of a crop alone.

    Args:
        num_train: Training utterances, a crop of each an epoch.
        num_val: Validation utterances.
        num_crops: Crops of each of them.
    """
    eval_cost = COST_OF_EMBEDDING * num_val * num_crops
    return eval_cost / (num_train + eval_cost)


def affordable_eval_crops(num_train: int, num_val: int, wanted: int) -> int:
    """The most crops of a validation utterance that stay within a fifth of the epoch's time.

    Returns:
        From 1 to `wanted`; 1 also where even one takes more.
    """
    fitting = (
        crops
        for crops in range(wanted, 1, -1)
        if expected_eval_share(num_train, num_val, crops) <= MAX_EVAL_SHARE
    )
    return next(fitting, 1)


EVAL_CROPS = "training.eval_crops"


def sets_eval_crops(space: Space) -> bool:
    """Whether the space decides it, for all of its trials or some."""
    varied = {dimension.name for dimension in space.dimensions}
    presets = (space.base_tree(preset) for preset in space.presets)
    return (
        EVAL_CROPS in varied | space.fixed_values().keys()
        or any("eval_crops" in preset.get("training", {}) for preset in presets)
    )


def choose_eval_crops(
    space: Space,
    data: TrainingData,
    journal: Journal,
    records: Sequence[Record],
    say: Callable[[str], None],
) -> int | None:
    """As many as keep validation within a fifth of the epoch; chosen and recorded once a run.

    Args:
        space: Where it names the number, that counts.
        data: The corpus.
        journal: Where the choice is written.
        records: An earlier run's; what it began with stands.
        say: Told where the number is lowered, or where even 1 takes too long.

    Returns:
        Crops of an utterance, None where the space or the default decides.
    """
    if sets_eval_crops(space):
        return None
    earlier = latest(records, "eval_crops")
    if earlier is not None:
        return int(earlier["eval_crops"])
    if latest(records, "trial_started") is not None:
        # A run of before there was a choice: its other trials had the default.
        return None
    wanted = TrainingConfig().eval_crops
    num_train, num_val = len(data.train_row), len(data.val_row)
    crops = affordable_eval_crops(num_train, num_val, wanted)
    share = expected_eval_share(num_train, num_val, crops)
    journal.append("eval_crops", eval_crops=crops, wanted=wanted, expected_share=share)
    if crops < wanted:
        usual = expected_eval_share(num_train, num_val, wanted)
        say(
            f"validation crops an utterance ({EVAL_CROPS}): {crops} in place of {wanted}, "
            f"about {share:.0%} of an epoch's time and not {usual:.0%}"
        )
    if share > MAX_EVAL_SHARE:
        say(
            f"validation will likely take about {share:.0%} of an epoch's time, more than "
            f"{MAX_EVAL_SHARE:.0%}: {num_val:,} utterances to embed beside {num_train:,} to train "
            "on; a shorter validation list is the cure"
        )
    return crops


def teacher_eval_crops(space: Space, eval_crops: int | None) -> int:
    """Crops that the teacher is measured over: the trials', where they differ the first's."""
    if eval_crops is not None:
        return eval_crops
    return TrialConfig.model_validate(space.tree(space.params_with({}))).training.eval_crops
