"""The ResNetSE34L of voxceleb_trainer, restated with its names of weights."""

import torch
import torchaudio
from torch import Tensor, nn


class PreEmphasis(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("flipped_filter", torch.tensor([[[-0.97, 1.0]]]))

    def forward(self, wave: Tensor) -> Tensor:
        padded = nn.functional.pad(wave.unsqueeze(1), (1, 0), "reflect")
        return nn.functional.conv1d(padded, self.flipped_filter).squeeze(1)  # type: ignore[arg-type]


class Gate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 8
        layers = (nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid())
        self.fc = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = Gate(channels)
        self.downsample: nn.Module | None = None
        if stride > 1 or before != channels:
            conv = nn.Conv2d(before, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.se(self.bn2(self.conv2(self.bn1(torch.relu(self.conv1(x))))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class MainModel(nn.Module):
    def __init__(self, nOut: int, encoder_type: str, n_mels: int = 80) -> None:
        super().__init__()
        self.encoder_type = encoder_type
        bank = torchaudio.transforms.MelSpectrogram(
            16_000, 512, 400, 160, window_fn=torch.hamming_window, n_mels=n_mels
        )
        self.torchfb = nn.Sequential(PreEmphasis(), bank)
        self.instancenorm = nn.InstanceNorm1d(n_mels)
        self.conv1 = nn.Conv2d(1, 16, 7, (2, 1), 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        before = 16
        for i, (count, stride) in enumerate(((3, 1), (4, 2), (6, 2), (3, 1))):
            channels = 16 * 2**i
            later = (Block(channels, channels, 1) for _ in range(count - 1))
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(before, channels, stride), *later))
            before = channels
        self.sap_linear = nn.Linear(128, 128)
        self.attention = nn.Parameter(torch.randn(128, 1))
        self.fc = nn.Linear(256 if encoder_type == "ASP" else 128, nOut)

    def forward(self, wave: Tensor) -> Tensor:
        x = self.instancenorm((self.torchfb(wave) + 1e-6).log()).unsqueeze(1)
        x = torch.relu(self.bn1(self.conv1(x)))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        x = x.mean(2).transpose(1, 2)
        weight = torch.softmax(torch.tanh(self.sap_linear(x)) @ self.attention, dim=1)
        mean = (x * weight).sum(1)
        if self.encoder_type == "SAP":
            return self.fc(mean)  # type: ignore[no-any-return]
        deviation = ((x**2 * weight).sum(1) - mean**2).clamp(min=1e-5).sqrt()
        return self.fc(torch.cat((mean, deviation), 1))  # type: ignore[no-any-return]
