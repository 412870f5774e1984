"""The files that log the epochs of a training run: scores.txt and TensorBoard's events."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboardX import SummaryWriter

from trainable.machine.ranks import Ranks
from trainable.report.epoch_report import METRICS, EpochReport
from trainable.report.score_log import ScoreLog

TENSORBOARD_FIELDS = (
    "veer_pct",
    *(name for name, column in METRICS.items() if column.in_train_log),
)


@contextmanager
def epoch_log(
    scores: ScoreLog, out: Path, resumed_from: int, ranks: Ranks
) -> Iterator[Callable[[EpochReport], None]]:
    """Yield a function that logs an epoch; in all but the first process it does nothing."""
    if not ranks.is_first:
        yield lambda _: None
        return
    # Events after the resumed epoch come from an earlier, stopped process: TensorBoard drops them.
    with SummaryWriter(str(out / "tensorboard"), purge_step=resumed_from + 1) as writer:

        def log(report: EpochReport) -> None:
            scores.training(report)
            _write_scalars(writer, report)

        yield log


def _write_scalars(writer: SummaryWriter, report: EpochReport) -> None:
    values = report.as_dict()
    for name in TENSORBOARD_FIELDS:
        match values[name]:
            case None:
                pass
            case tuple() as stages:
                for number, value in enumerate(stages, 1):
                    writer.add_scalar(f"{name}/{number}", value, report.epoch)
            case value:
                writer.add_scalar(name, value, report.epoch)
