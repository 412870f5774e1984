"""The log of a training run in voxceleb_trainer's line format."""

import os
from datetime import UTC, datetime
from pathlib import Path

from spaces.files.atomic import WholeAppends
from spaces.files.locks import open_no_follow
from trainable.report.epoch_report import EpochReport
from trainable.verification.evaluation import EvaluationResult

# Not in the file of scores, whose lines other programs read.
THREADS, PHASES = "threads.txt", "phases.txt"


class ScoreLog:
    """The file `result/scores.txt`, in voxceleb_trainer's line format; lines are appended.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "result" / "scores.txt"
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def training(self, report: EpochReport) -> None:
        """Append the line of a training epoch."""
        self._write(
            f"Epoch {report.epoch}, TEER/TAcc {report.train_accuracy_pct:.2f}, "
            f"TLOSS {report.loss_total:f}, LR {report.lr:f}"
        )

    def evaluation(self, epoch: int, result: EvaluationResult) -> None:
        """Append EER and minDCF (prior 0.05), both by voxceleb_trainer's protocol."""
        metrics = result.voxceleb_trainer
        self._write(
            f"Epoch {epoch}, VEER {metrics.eer_pct_voxceleb_trainer:2.4f}, "
            f"MinDCF {metrics.min_dcf_p05:2.5f}"
        )

    def threads(self, number: int, first_epoch: int) -> None:
        """Append the number of CPU threads from an epoch on: it decides how sums are rounded."""
        self._write(f"Epoch {first_epoch}, {number} threads", self.file.with_name(THREADS))

    def phase(self, text: str) -> None:
        """Append why a phase of the training ended early, unless the file has it."""
        path = self.file.with_name(PHASES)
        if not (path.exists() and text in path.read_text()):
            self._write(text, path)

    def has_evaluation(self, epoch: int) -> bool:
        """Return whether the file has the metrics of an epoch."""
        return self.file.exists() and f"Epoch {epoch}, VEER " in self.file.read_text()

    def _write(self, text: str, path: Path | None = None) -> None:
        now = datetime.now(tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        line = f"[INFO] :: {now} :: {text}\n".encode()
        path = path or self.file
        file = open_no_follow(path, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(file, "ab", buffering=0) as out:
            WholeAppends(out, path).append(line)
