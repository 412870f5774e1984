"""The row of a trial in the trials table; its columns are described here."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from trainable.loss.directed import DIRECTED
from trainable.report.column import Column

# Below these, distillation had no effect; see `results.tables.trials.distill_has_no_effect`.
NO_EFFECT_SHARE = 0.01
NO_EFFECT_COSINE = 0.1


class TrialRow(BaseModel):
    """What the table says about one trial; None where it is unknown or does not apply.

    Headings and decimals of columns that the epochs table has too are described there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: Annotated[
        int | None,
        Column(
            meaning="Rank, 1 is the best: first the trials whose config was repeated with other "
            "seeds, by `repeat_mean_pct`, then the others by `veer_pct`, or by the figure of the "
            "setting `decide_by`; null for failed and diverged trials and for follow-ups.",
        ),
    ] = None
    trial: Annotated[
        int | None,
        Column(meaning="Number of the trial, from 0; null where `same_as` names another trial."),
    ] = None
    same_as: Annotated[
        int | None,
        Column(
            meaning="Trial whose run this row shares: the suggestion has other values but the "
            "same resulting config, so it was not run again and the row has that trial's "
            "results. Null for a trial.",
        ),
    ] = None
    follow_up: Annotated[
        str | None,
        Column(
            meaning="Kind of a trial that the search ran after its own: `repeat`, the config of a "
            "finalist with another seed; `control`, a stopped trial run again to its last "
            "epoch. Null for the search's own trials.",
        ),
    ] = None
    follows: Annotated[
        int | None,
        Column(
            meaning="Trial whose config a follow-up repeats; null for the search's own trials.",
        ),
    ] = None
    state: Annotated[
        str | None,
        Column(
            meaning="`complete`, `stopped_early`, `failed`, `diverged`; `running` for a trial "
            "without an end.",
        ),
    ] = None
    veer_pct: Annotated[
        float | None,
        Column(unit="%", meaning="Lowest validation EER over the trial's epochs."),
    ] = None
    veer_low_pct: Annotated[
        float | None,
        Column(
            unit="%",
            meaning="Lower end of the 95 % interval of `veer_pct`, by bootstrap over the "
            "validation speakers; null where the list has too few speakers or errors for one.",
        ),
    ] = None
    veer_high_pct: Annotated[float | None, Column(unit="%", meaning="Its upper end.")] = None
    decision_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="decides\n%", decimals=2,
            meaning="Lowest figure of the setting `decide_by` over the trial's epochs, by which "
            "trials without repeats are ranked; null where that is the VEER.",
        ),
    ] = None
    behind_pct: Annotated[
        float | None,
        Column(
            unit="%", decimals=2,
            meaning="`veer_pct` minus that of the first in rank; may be below 0 where the first "
            "is ranked by its repeats or by another figure. Null where one of the two has no "
            "saved scores.",
        ),
    ] = None
    behind_low_pct: Annotated[
        float | None,
        Column(
            unit="%", decimals=2,
            meaning="Lower end of the 95 % interval of `behind_pct`, by bootstrap with the same "
            "replicates for both trials.",
        ),
    ] = None
    behind_high_pct: Annotated[
        float | None,
        Column(unit="%", decimals=2, meaning="Its upper end."),
    ] = None
    is_tied: Annotated[
        bool | None,
        Column(
            meaning="Whether the trial cannot be distinguished from the first in rank: the "
            "interval of `behind_pct` includes 0. True for the first itself. It compares these "
            "two runs, not their configs with other seeds: for that see `repeat_mean_pct` and "
            "`veer audit`. Null without an interval.",
        ),
    ] = None
    median_veer_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="median\nof last 5", decimals=2,
            meaning="Median VEER of the last five epochs, or of all where there are fewer. Unlike "
            "`veer_pct`, which is that of the luckiest epoch, it is not too low.",
        ),
    ] = None
    num_repeats: Annotated[
        int | None,
        Column(meaning="Complete repeats of the config with other seeds; null without any."),
    ] = None
    repeat_mean_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="repeats\nmean ± sd (n)", decimals=2,
            meaning="Mean of `median_veer_pct` over these repeats.",
        ),
    ] = None
    repeat_sd_pct: Annotated[
        float | None,
        Column(
            unit="%", decimals=2,
            meaning="Standard deviation over these repeats; null for a single one.",
        ),
    ] = None
    meets: Annotated[
        str | None,
        Column(
            meaning="The hardest of the search's success criteria that `veer_pct` meets; null "
            "where it meets none, or the trial has no rank.",
        ),
    ] = None
    best_epoch: Annotated[
        int | None,
        Column(
            heading="best\nepoch",
            meaning="Epoch of `veer_pct`, from 1; the first of equal ones.",
        ),
    ] = None
    last_veer_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="last\nVEER %", decimals=2,
            meaning="Validation EER after the last epoch.",
        ),
    ] = None
    epochs: Annotated[int | None, Column(unit="epochs", meaning="Epochs reported.")] = None
    num_params: Annotated[
        int | None,
        Column(meaning="Parameters of the network, without the training classifier."),
    ] = None
    on_front: Annotated[
        bool | None,
        Column(
            heading="front",
            meaning="Whether no other trial with a rank is better in one goal of the search and "
            "as good in all others, by `veer_pct` and the costs; null in a search with the one "
            "goal VEER, and without a rank.",
        ),
    ] = None
    cpu_latency: Annotated[
        float | None,
        Column(
            heading="CPU time\n/ teacher", decimals=3,
            meaning="Time of the network over the teacher's on the CPU of the machine that led "
            "the search, one thread, one utterance of 2 s, without the front end, measured before "
            "the trial; null where it is no goal of the search.",
        ),
    ] = None
    macs: Annotated[
        int | None,
        Column(
            meaning="Multiply-accumulates of an utterance of 2 s, without the front end; null "
            "where they are no goal of the search.",
        ),
    ] = None
    speed_ratio: Annotated[
        float | None,
        Column(
            meaning="Median latency of the teacher divided by that of this student, on a CPU, one "
            "utterance at a time, by the latest benchmark; null where it was not measured.",
        ),
    ] = None
    distill_share: Annotated[
        float | None,
        Column(meaning="Share of weighted distillation in the loss at `best_epoch`, 0 to 1."),
    ] = None
    teacher_cosine: Annotated[
        float | None,
        Column(meaning="Mean cosine of student and teacher embeddings at `best_epoch`."),
    ] = None
    distill_has_no_effect: Annotated[
        bool | None,
        Column(
            meaning="Whether distillation did nothing though the config has it: `distill_share` "
            f"at `best_epoch` is below {NO_EFFECT_SHARE:g}, or the trial is complete and "
            f"`teacher_cosine` after its last epoch is below {NO_EFFECT_COSINE:g} with a loss "
            f"that should raise it ({', '.join(sorted(DIRECTED))}, without stages). Null without "
            "distillation.",
        ),
    ] = None
    seed: Annotated[int | None, Column(meaning="Seed of the trial.")] = None
    config_hash: Annotated[
        str | None,
        Column(meaning="Hash of the config without the parameters that have no effect."),
    ] = None
    model_hash: Annotated[
        str | None,
        Column(
            meaning="Fingerprint of the network as built: classes, attributes, names and shapes "
            "of parameters. Null before a worker has built it.",
        ),
    ] = None
    reason: Annotated[
        str | None,
        Column(meaning="Why the trial ended in this state, where a reason is known."),
    ] = None
    retries: Annotated[
        int | None,
        Column(
            meaning="How often the trial was run again after a fault that does not depend on its "
            "config: too little memory in its share, a process or node that died, a hang. A "
            "damaged checkpoint, after which the trial continued, does not count, nor does the "
            "fault that ended a failed trial.",
        ),
    ] = None
    duration_s: Annotated[
        float | None,
        Column(
            unit="s", heading="time s", decimals=1,
            meaning="Training and validation time of all epochs, without set-up.",
        ),
    ] = None
    num_samples: Annotated[
        int | None,
        Column(unit="crops", meaning="Training crops of all epochs."),
    ] = None
    core_hours: Annotated[
        float | None,
        Column(
            unit="h", decimals=3,
            meaning="CPUs reserved for it times the time for which it had them.",
        ),
    ] = None
    gpu_hours: Annotated[
        float | None,
        Column(
            unit="h", decimals=3,
            meaning="GPUs, or shares of them, times the time for which it had them.",
        ),
    ] = None
    samples_per_s: Annotated[
        float | None,
        Column(unit="1/s", meaning="Training crops a second, over all epochs."),
    ] = None
    peak_memory_mib: Annotated[
        float | None,
        Column(unit="MiB", meaning="Largest of all epochs; see the epochs table."),
    ] = None
    overhead_share: Annotated[
        float | None,
        Column(
            meaning="Share of the training time outside forward, backward and optimizer, over all "
            "epochs, 0 to 1.",
        ),
    ] = None
    eval_share: Annotated[
        float | None,
        Column(
            heading="eval\nshare", decimals=3,
            meaning="Share of validation in `duration_s`, 0 to 1.",
        ),
    ] = None
