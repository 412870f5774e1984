"""ResNetSE34L, a fast ResNet-34 with squeeze and excitation.

Shapes: B batch, C channels, F mel bins and T frames (both reduced by strides), D embedding.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.plain.speaker_net import SpeakerNet
from models.pooling import FrameAttentivePooling
from models.resnet_se34l import NUM_BLOCKS, STRIDES, SEBasicBlock

EMBEDDING_DIM = 512
ENCODER_TYPE = "SAP"
NUM_FILTERS = 16


class MainModel(SpeakerNet):
    """A ResNet over the log-mels as an image, averaged over frequency and pooled over time."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(EMBEDDING_DIM, arguments)
        channels = NUM_FILTERS
        self.conv = nn.Conv2d(1, channels, 7, stride=(2, 1), padding=3, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.layers = nn.Sequential()
        for i, (num_blocks, stride) in enumerate(zip(NUM_BLOCKS, STRIDES, strict=True)):
            in_channels, channels = channels, NUM_FILTERS * 2**i
            later = (SEBasicBlock(channels, channels, 1) for _ in range(num_blocks - 1))
            self.layers.append(nn.Sequential(SEBasicBlock(in_channels, channels, stride), *later))
        with_deviation = ENCODER_TYPE == "ASP"
        self.pooling = FrameAttentivePooling(channels, with_deviation=with_deviation)
        self.embedding = nn.Linear((1 + with_deviation) * channels, EMBEDDING_DIM)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels."""
        x_BCFT = F.relu(self.norm(self.conv(norm_BTF.transpose(1, 2).unsqueeze(1))))
        x_BCFT = self.layers(x_BCFT)
        emb_BD: Tensor = self.embedding(self.pooling(x_BCFT.mean(dim=2).permute(2, 0, 1)))
        return emb_BD
