"""What a search will need of the disk at most, told and checked before a trial runs.

Knows no Ray. Checkpoints are what counts: of the best trials and of the unfinished ones, as
`CheckpointKeeper` keeps them, each of the space's largest config. A trial has its best epoch's
and its last one's, and while it is saved one more. Journal, tables, study and TensorBoard's files
are a record's bytes times trials and expected epochs. The scores of every trial stay.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.search_config import SearchConfig
from search.estimates.forecast import Forecast
from search.estimates.largest_step import StepCosts, largest_step
from search.loop.setup import make_trial_config
from search.loop.trial_course import TrialCourse
from spaces.files.disk import format_bytes, free_bytes
from spaces.files.errors import ConfigError, TrainingError
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.cost.checkpoint_size import checkpoint_memory, longest_report, weights_memory
from trainable.cost.random_input_step import META
from trainable.cost.step_memory import ComputeSettings
from trainable.machine.cache_dir import cache_dir
from trainable.verification.scores import scores_bytes

FILES_A_TRIAL = 3
# Of the kept validation list, whose paths repeat: more than any list at hand takes.
PAIR_BYTES = 40
# A file or folder takes whole blocks. A trial has its folder, that of its weights and a config.
BLOCK_BYTES = 4096
# In `tensorboard` it has another folder, with a file.
BLOCKS_A_TRIAL = 5
# Tables and study hold what the journal holds, and no more, and so do TensorBoard's files (both
# tested); while tables and study are replaced there are two of each.
TIMES_THE_JOURNAL = 4
# What is written once: settings, the log's beginning, the tables' own descriptions, and the page,
# most of it Plotly's script; while it is replaced there are two.
FIXED_BYTES = 12_000_000
# Where a trial was begun, how it ended, what was said of it, and the suggestions before it that
# were outside the limits.
OTHER_RECORDS_BYTES = 4000
MENTIONED_BYTES = 1_000_000
EVENT_BYTES = 100  # `event`, `time_s`, `trial` and `num_params` of an epoch's record


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskEstimate:
    """What a run folder will hold at most.

    Attributes:
        checkpoint_bytes: Of one file, of the largest config.
        keep_best: Ended trials whose files are kept.
        num_unfinished: Trials that have not ended, at most at a time.
        records_bytes: Journal, tables, study, page, TensorBoard's and a trial's small files.
        scores_bytes: Scores of every trial, with the list that they are of.
    """

    checkpoint_bytes: int
    keep_best: int
    num_unfinished: int
    records_bytes: int
    scores_bytes: int = 0

    @property
    def checkpoints_bytes(self) -> int:
        """Bytes of all checkpoints at once."""
        return FILES_A_TRIAL * (self.keep_best + self.num_unfinished) * self.checkpoint_bytes

    @property
    def num_bytes(self) -> int:
        """Bytes in all."""
        return self.checkpoints_bytes + self.records_bytes + self.scores_bytes

    def __str__(self) -> str:
        trials = "trial" if self.num_unfinished == 1 else "trials"
        return (
            f"at most about {format_bytes(self.num_bytes)} (checkpoints of the best "
            f"{self.keep_best} and {self.num_unfinished} running {trials} "
            f"{format_bytes(self.checkpoints_bytes)}, journal, tables and scores "
            f"{format_bytes(self.records_bytes + self.scores_bytes)})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskGuard:
    """Tells what a search needs, and refuses one that the disk cannot hold.

    Attributes:
        folder: The run folder.
        settings: The search's, resolved.
        space: What it searches.
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        num_pairs: Pairs of the validation list.
        expected: The epochs that it will spend.
        say: Prints a line.
    """

    folder: Path
    settings: SearchConfig
    space: Space
    teacher: Path | None
    num_speakers: int
    num_pairs: int
    expected: Forecast
    say: Callable[[str], None]

    def check(self, at_once: int, trials: Sequence[TrialCourse] = ()) -> None:
        """Report what is needed and what is free.

        Args:
            at_once: Trials that run at a time.
            trials: Those of an earlier run: the unfinished ones keep their checkpoints.

        Raises:
            ConfigError: What is free is less than what is still needed.
        """
        try:
            largest = self.largest()
        except TrainingError as error:  # such trials fail, each with its reason; others may run
            self.say(f"disk: not estimated: {error}")
            return
        if largest is None:
            self.say("disk: not estimated, no configuration was found inside the space's limits")
            return
        config, checkpoint_bytes = largest
        num_trials = self.settings.num_trials or 0
        plan = self.settings.follow_ups
        more_epochs = plan.num_epochs(self.settings.max_epochs)
        num_unfinished = max(at_once, sum(trial.state is None for trial in trials))
        num_scored = num_trials + plan.max_trials + num_unfinished
        estimate = DiskEstimate(
            checkpoint_bytes=checkpoint_bytes,
            keep_best=min(num_kept(self.settings), num_trials),
            num_unfinished=num_unfinished,
            scores_bytes=kept_scores_bytes(self.num_pairs, num_scored),
            records_bytes=records_bytes(
                config, num_trials + plan.max_trials, self.expected.epochs_high + more_epochs
            ),
        )
        require_room(estimate, self.folder, self.settings, self.say)

    def largest(self) -> tuple[TrialConfig, int] | None:
        """Return the config with the largest checkpoint, and its bytes; None where none is allowed.

        Raises:
            TrainingError: A config cannot be trained with the search's teacher.
        """
        computing = ComputeSettings(engine=self.settings.engine, targets=self.settings.targets)
        tensors, whole = (
            StepCosts(self.teacher, self.num_speakers, META, computing, measure)
            for measure in (weights_memory, checkpoint_memory)
        )

        def make_config(tree: dict[str, Any]) -> TrialConfig:
            config = make_trial_config(tree, self.settings.seed, self.settings)
            return TrialConfig.model_validate(config.canonical())  # what workers are given

        found = largest_step(self.space, make_config, tensors, cache_dir())
        return None if found is None else (found.config, whole(found.config).num_bytes)


def num_kept(settings: SearchConfig) -> int:
    """Return ended trials whose checkpoints are kept at most.

    The finalists are the best by their lowest VEER, so among the `keep_best`, but where a config
    has several runs, or where earlier repeats have put others first.
    """
    may_differ = settings.repetitions > 1 or settings.repeat > 0
    return settings.keep_best + (min(settings.finalists, settings.keep_best) * may_differ)


def records_bytes(config: TrialConfig, num_trials: int, num_epochs: float) -> int:
    """Return bytes of journal, tables, study, TensorBoard's files and the small files of trials.

    Args:
        config: A large one.
        num_trials: Trials in all.
        num_epochs: Epochs of all of them.
    """
    # Sampled values are a part of the config.
    a_trial = 2 * len(json.dumps(config.canonical())) + OTHER_RECORDS_BYTES
    an_epoch = len(json.dumps(longest_report(config.training.max_epochs).as_dict())) + EVENT_BYTES
    in_lines = num_trials * a_trial + num_epochs * an_epoch
    small_files = num_trials * BLOCKS_A_TRIAL * BLOCK_BYTES
    return round(TIMES_THE_JOURNAL * in_lines + small_files + FIXED_BYTES)


def kept_scores_bytes(num_pairs: int, num_files: int) -> int:
    """Return bytes of the validation list, of the teacher's scores and of those of trials.

    Args:
        num_pairs: Of the list.
        num_files: Trials, and those that replace their scores at a time.
    """
    a_file = scores_bytes(num_pairs) + BLOCK_BYTES
    return (num_files + 1) * a_file + num_pairs * PAIR_BYTES


def require_room(
    estimate: DiskEstimate, folder: Path, settings: SearchConfig, say: Callable[[str], None]
) -> None:
    """Print what a search needs of its disk; what its folder holds already counts as there.

    Raises:
        ConfigError: What is free is less than what is still needed.
    """
    used, free = used_bytes(folder), free_bytes(folder)
    there = f", of which {format_bytes(used)} are there" if used >= MENTIONED_BYTES else ""
    line = f"{estimate}{there}; {format_bytes(free)} free"
    if estimate.num_bytes - used > free:
        raise ConfigError(
            f"{folder}: a search must find room for its files, and needs {line}; free some room, "
            f"lower max_concurrent (now {settings.max_concurrent or estimate.num_unfinished}), or "
            "name another folder with --run, where keep_best may be lowered too (now "
            f"{settings.keep_best})"
        )
    say(f"disk: {line}")


def used_bytes(folder: Path) -> int:
    """Return bytes of all files below a folder; one that goes meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total
