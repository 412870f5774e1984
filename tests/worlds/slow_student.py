"""A student whose training passes take their time without computing."""

import time

import torch

from models import ModelOutput, SpeakerModel

PASS_S = 0.03


class SlowNet(SpeakerModel):
    """Two linear layers; a training pass sleeps `PASS_S`."""

    def __init__(self, num_mels: int, embedding_dim: int, width: int = 8) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF: torch.Tensor, *, with_stages: bool) -> ModelOutput:
        if self.training and torch.is_grad_enabled():
            time.sleep(PASS_S)
        x_BTC = torch.relu(self.up(norm_BTF))
        stages = (x_BTC,) if with_stages else ()
        return ModelOutput(self.embedding(x_BTC.mean(1)), stages, None)
