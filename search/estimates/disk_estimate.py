"""The most disk space that a search needs, reported and checked before a trial runs.

Independent of Ray. Most of the space is for checkpoints: of the best trials and of the unfinished
ones, as `CheckpointKeeper` keeps them, each as large as for the space's largest config. A trial
keeps those of its best and its last epoch, and one more while it is saved. Journal, tables, study
and TensorBoard's files are estimated as the bytes of a record times trials and expected epochs.
The scores of every trial are kept.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.shapes_only import META
from search.config.search_config import SearchConfig
from search.estimates.forecast import Forecast
from search.estimates.largest_step import StepCosts, largest_step
from search.loop.setup import config_of_worker
from search.loop.trial_course import TrialCourse
from spaces.files.disk import format_bytes, free_bytes
from spaces.files.errors import ConfigError, TrainingError
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.cost.checkpoint_size import checkpoint_memory, longest_report, weights_memory
from trainable.cost.step_memory import ComputeSettings
from trainable.machine.cache_dir import cache_dir
from trainable.verification.scores import scores_bytes

# Checkpoints: the best epoch's, the last epoch's, and one that is being written.
FILES_A_TRIAL = 3
# A pair of the kept validation list, whose paths repeat and compress well: more than measured for
# any list so far.
PAIR_BYTES = 40
# A file or folder takes whole blocks.
BLOCK_BYTES = 4096
# A trial has a folder, the folder of its weights and a config; in `tensorboard` a folder with a
# file.
BLOCKS_A_TRIAL = 5
# Tables and study together hold no more than the journal, and so do TensorBoard's files (both
# tested). While tables and study are replaced there are two of each.
TIMES_THE_JOURNAL = 4
# Written once: settings, the start of the log, the descriptions in the tables, and the page, which
# is mostly Plotly's script. While the page is replaced there are two.
FIXED_BYTES = 12_000_000
# A trial's other records: placement, end, faults, and the suggestions before it that were outside
# the limits.
OTHER_RECORDS_BYTES = 4000
# A smaller run folder is not worth a mention in the message.
MENTIONED_BYTES = 1_000_000
EVENT_BYTES = 100  # `event`, `time_s`, `trial` and `num_params` of an epoch's record


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskEstimate:
    """The largest size that a run folder will reach.

    Attributes:
        checkpoint_bytes: Bytes of one checkpoint of the largest config.
        keep_best: Number of ended trials whose checkpoints are kept.
        num_unfinished: Most trials that are unfinished at the same time.
        records_bytes: Bytes of journal, tables, study, page and the small files of trials.
        scores_bytes: Bytes of the scores of every trial, and of the validation list.
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
        """Bytes in total."""
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
    """The check that the disk has room for a search.

    Attributes:
        folder: The run folder.
        settings: The settings of the search, resolved.
        space: The space to search.
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        num_pairs: Trial pairs of the validation list.
        expected: Forecast of the epochs that the search will run.
        print_line: Prints a line.
    """

    folder: Path
    settings: SearchConfig
    space: Space
    teacher: Path | None
    num_speakers: int
    num_pairs: int
    expected: Forecast
    print_line: Callable[[str], None]

    def check(self, at_once: int, trials: Sequence[TrialCourse] = ()) -> None:
        """Print the space that is needed and the space that is free.

        Args:
            at_once: Trials that run at the same time.
            trials: Trials of an earlier run; the unfinished ones keep their checkpoints.

        Raises:
            ConfigError: The free space is less than what is still needed.
        """
        try:
            largest = self.largest()
        except TrainingError as error:  # such trials fail, each with its reason; others may run
            self.print_line(f"disk: not estimated: {error}")
            return
        if largest is None:
            self.print_line(
                "disk: not estimated, no configuration was found inside the space's limits"
            )
            return
        config, checkpoint_bytes = largest
        num_trials = self.settings.num_trials or 0
        plan = self.settings.follow_ups
        more_epochs = plan.num_epochs(self.settings.max_epochs)
        # After a resume on fewer machines more trials are unfinished than run at once.
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
        require_room(estimate, self.folder, self.settings, self.print_line)

    def largest(self) -> tuple[TrialConfig, int] | None:
        """Return the config with the largest checkpoint, and its bytes; None if none is allowed.

        Raises:
            TrainingError: A config cannot be trained with the search's teacher.
        """
        computing = ComputeSettings(engine=self.settings.engine, targets=self.settings.targets)
        tensors, whole = (
            StepCosts(self.teacher, self.num_speakers, META, computing, measure)
            for measure in (weights_memory, checkpoint_memory)
        )

        make_config = partial(config_of_worker, self.settings)
        found = largest_step(self.space, make_config, tensors, cache_dir())
        return None if found is None else (found.config, whole(found.config).num_bytes)


def num_kept(settings: SearchConfig) -> int:
    """Return the most ended trials whose checkpoints are kept at the same time.

    The finalists are the best by the figure that decides, so normally among the `keep_best`. They
    may differ if a config has several runs, or if earlier repeats have changed the order.
    """
    may_differ = settings.repetitions > 1 or settings.repeat > 0
    return settings.keep_best + (min(settings.finalists, settings.keep_best) * may_differ)


def records_bytes(config: TrialConfig, num_trials: int, num_epochs: float) -> int:
    """Return the bytes of journal, tables, study, TensorBoard's files and trials' small files.

    Args:
        config: A large config.
        num_trials: All trials of the search.
        num_epochs: Epochs of all trials together.
    """
    # Sampled values are a part of the config.
    a_trial = 2 * len(json.dumps(config.canonical())) + OTHER_RECORDS_BYTES
    an_epoch = len(json.dumps(longest_report(config.training.max_epochs).as_dict())) + EVENT_BYTES
    in_lines = num_trials * a_trial + num_epochs * an_epoch
    small_files = num_trials * BLOCKS_A_TRIAL * BLOCK_BYTES
    return round(TIMES_THE_JOURNAL * in_lines + small_files + FIXED_BYTES)


def kept_scores_bytes(num_pairs: int, num_files: int) -> int:
    """Return the bytes of the validation list and of the scores of teacher and trials.

    Args:
        num_pairs: Trial pairs of the list.
        num_files: Score files of trials: one a trial, and one a trial that is replacing its own.
    """
    a_file = scores_bytes(num_pairs) + BLOCK_BYTES
    return (num_files + 1) * a_file + num_pairs * PAIR_BYTES


def require_room(
    estimate: DiskEstimate, folder: Path, settings: SearchConfig, print_line: Callable[[str], None]
) -> None:
    """Print the disk space that a search needs, and how much of it its folder already uses.

    Raises:
        ConfigError: The free space is less than what is still needed.
    """
    used, free = used_bytes(folder), free_bytes(folder)
    there = (
        f", of which {format_bytes(used)} are already in use" if used >= MENTIONED_BYTES else ""
    )
    line = f"{estimate}{there}; {format_bytes(free)} free"
    # What an earlier part of the run has written is a part of the estimate.
    if estimate.num_bytes - used > free:
        raise ConfigError(
            f"{folder}: the disk must have room for the files of the search, {line}; free some "
            "space, lower max_concurrent (now "
            f"{settings.max_concurrent or estimate.num_unfinished}), or choose another folder "
            f"with --run, where keep_best can be lowered too (now {settings.keep_best})"
        )
    print_line(f"disk: {line}")


def used_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder, without those that are deleted meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total
