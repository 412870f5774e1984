"""How many crops of a validation utterance an epoch can afford."""

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
