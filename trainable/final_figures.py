"""`result/final.json`: the final figures of a run's best epoch, computed once."""

import json
from dataclasses import asdict
from pathlib import Path

from spaces.files.atomic import write_text_atomically
from trainable.verification.evaluation import EvaluationResult
from trainable.verification.metrics import VerificationMetrics

FILE = Path("result") / "final.json"


def write_final(folder: Path, epoch: int, result: EvaluationResult) -> None:
    """Record the figures of an epoch."""
    text = json.dumps({"epoch": epoch} | asdict(result), indent=2)
    write_text_atomically(folder / FILE, text + "\n")


def read_final(folder: Path, epoch: int) -> EvaluationResult | None:
    """The recorded figures of this epoch; None where there are none that can be read."""
    try:
        recorded = json.loads((folder / FILE).read_text())
        if recorded["epoch"] != epoch:
            return None
        return EvaluationResult(
            cosine=VerificationMetrics(**recorded["cosine"]),
            voxceleb_trainer=VerificationMetrics(**recorded["voxceleb_trainer"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
