"""The front end of `models.frontend` without complex numbers: its spectrum is a convolution.

Shapes: B batch, S samples, T frames, K bins of the spectrum, F mel bins, W samples of a window.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.frontend import (
    HOP_SAMPLES,
    LOG_OFFSET,
    N_FFT,
    PRE_EMPHASIS,
    WINDOW_SAMPLES,
    LogMel,
)

# The window is in the middle of the transform.
_MARGIN = (N_FFT - WINDOW_SAMPLES) // 2


class ConvLogMel(nn.Module):
    """`LogMel` for graphs; the same to rounding.

    Args:
        num_mels: Mel bins.
    """

    basis_K1W: Tensor
    bank_KF: Tensor

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        plain = LogMel(num_mels)
        # In float64: angles of some thousand radians keep too few digits in float32.
        sample_W = torch.arange(_MARGIN, N_FFT - _MARGIN, dtype=torch.float64)
        bin_K = torch.arange(N_FFT // 2 + 1, dtype=torch.float64)
        angle_KW = 2 * math.pi / N_FFT * bin_K[:, None] * sample_W
        window_W = plain.window_S.double()
        basis_KW = torch.cat((angle_KW.cos() * window_W, angle_KW.sin() * window_W)).float()
        self.register_buffer("basis_K1W", basis_KW[:, None])
        self.register_buffer("bank_KF", plain.bank_KF)

    def forward(self, wave_BS: Tensor) -> Tensor:
        """Compute log-mels, (B, T, F) with T = 1 + S // 160; S must be at least 257."""
        previous_BS = torch.cat((wave_BS[:, 1:2], wave_BS[:, :-1]), dim=1)
        emphasised_B1S = (wave_BS - PRE_EMPHASIS * previous_BS)[:, None]
        padded_B1S = F.pad(emphasised_B1S, (N_FFT // 2, N_FFT // 2), mode="reflect")
        seen_B1S = padded_B1S[:, :, _MARGIN:-_MARGIN]
        both_BKT = F.conv1d(seen_B1S, self.basis_K1W, stride=HOP_SAMPLES)
        real_BKT, imaginary_BKT = both_BKT.chunk(2, dim=1)
        power_BTK = (real_BKT.square() + imaginary_BKT.square()).transpose(1, 2)
        return torch.log(power_BTK @ self.bank_KF + LOG_OFFSET)
