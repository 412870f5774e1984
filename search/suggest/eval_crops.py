"""Validation crops: how many of each utterance the trials of a search embed after every epoch.

The space or a config may set the number. Otherwise it is the default of a config, recorded once
for all trials of a run. It is not lowered to save time: fewer crops give a higher VEER with more
noise.
"""

from collections.abc import Sequence

from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.search_records import EvalCropsChosen
from spaces.space import Space
from trainable.config.trial_config import TrainingConfig, TrialConfig
from trainable.features.training_data import TrainingData

EVAL_CROPS = "training.eval_crops"
# Time to embed a crop, over the time to train on one. Measured for MLP-Mixers of width 48 and 192
# on a CPU, in batches of 16 to 128: 0.23 to 0.26; of 256: 0.33 to 0.41.
COST_OF_EMBEDDING = 1 / 3


def expected_eval_share(num_train: int, num_val: int, num_crops: int) -> float:
    """Return the share of validation in an epoch's time, 0 to 1, from the numbers of crops.

    Args:
        num_train: Training utterances; an epoch trains on one crop of each.
        num_val: Validation utterances.
        num_crops: Crops of each validation utterance.
    """
    eval_cost = COST_OF_EMBEDDING * num_val * num_crops
    return eval_cost / (num_train + eval_cost)


def sets_eval_crops(space: Space) -> bool:
    """Return whether the space sets the number of crops, for all of its trials or some."""
    varied = {dimension.name for dimension in space.dimensions}
    presets = (space.base_tree(preset) for preset in space.presets)
    return (
        EVAL_CROPS in varied | space.fixed_values().keys()
        or any("eval_crops" in preset.get("training", {}) for preset in presets)
    )


def choose_eval_crops(
    space: Space, data: TrainingData, journal: Journal, records: Sequence[Record]
) -> int | None:
    """Choose the number of validation crops of a run, and record it once.

    Args:
        space: The space; a number that it sets is not changed.
        data: The corpus.
        journal: Receives the choice.
        records: An earlier run's records; its choice is kept.

    Returns:
        Crops of each utterance, None where the space or the default decides.
    """
    if sets_eval_crops(space):
        return None
    earlier = latest(records, EvalCropsChosen)
    if earlier is not None:
        return int(earlier.eval_crops)
    # Recorded: VEERs over different numbers of crops do not compare.
    crops = TrainingConfig().eval_crops
    num_train, num_val = len(data.train_row), len(data.val_row)
    share = expected_eval_share(num_train, num_val, crops)
    journal.append(EvalCropsChosen(eval_crops=crops, wanted=crops, expected_share=share))
    return crops


def teacher_eval_crops(space: Space, eval_crops: int | None) -> int:
    """Return the number of crops for the teacher's VEER: that of the trials, or of the first.

    Where the space varies the number, no single one is right for all trials.
    """
    if eval_crops is not None:
        return eval_crops
    return TrialConfig.model_validate(space.tree(space.params_with({}))).training.eval_crops
