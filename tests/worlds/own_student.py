"""A user with a student class in a file of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Every import leaves a line in the file that {trace} names.
NET = """
import torch
from models import ModelOutput, SpeakerModel

with open({trace!r}, "a") as out:
    out.write("imported\\n")

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim, width=8):
        if width > 16:
            raise ValueError(f"width must be at most 16, got {{width}}")
        super().__init__()
        self.embedding_dim = embedding_dim
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF, *, with_stages):
        x_BTC = torch.relu(self.up(norm_BTF))
        stages = (x_BTC,) if with_stages else ()
        return ModelOutput(self.embedding(x_BTC.mean(1)), stages, None)
"""
MODEL = {"family": "mine.net:Net", "embedding_dim": 32, "width": 12}
TRIAL = {
    "model": MODEL,
    "loss": {"stages": "cosine"},
    "training": {"batch_size": 8, "crop_frames": 40, "max_epochs": 2, "eval_frames": 60},
}
REFUSED = r"mine.net:Net.* runs code of its own: give --allow-code if you trust it"


@dataclass(frozen=True, slots=True)
class User:
    """A user's working folder; their code is refused until a command gets --allow-code."""

    folder: Path
    trace: Path
    forget: Callable[[], None]

    @property
    def num_imports(self) -> int:
        """Number of times that the user's module was imported."""
        return len(self.trace.read_text().splitlines()) if self.trace.exists() else 0
