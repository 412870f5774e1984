"""Waveform to log-mel: the one front end of training, evaluation and export.

Shapes: B batch, S samples, T frames, K bins of the spectrum, F mel bins.

Source: voxceleb_trainer's protocol, section "Front end": n_fft 512, Hamming window of 400 samples,
hop 160 at 16 kHz, pre-emphasis 0.97, log(x + 1e-6), instance normalisation over the mel bins.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
WINDOW_SAMPLES = 400
N_FFT = 512
NUM_MELS = 80
PRE_EMPHASIS = 0.97
LOG_OFFSET = 1e-6
INSTANCE_NORM_EPS = 1e-5  # the default of torch.nn.InstanceNorm1d, which the trainer uses


class LogMel(nn.Module):
    """Log-mel energies of a waveform, before instance normalisation.

    Has no parameters; its buffers are constants and are not stored in checkpoints.
    """

    window_S: Tensor
    bank_KF: Tensor

    def __init__(self, num_mels: int = NUM_MELS) -> None:
        super().__init__()
        window_S = torch.hamming_window(WINDOW_SAMPLES)
        bank_KF = melscale_fbanks(
            N_FFT // 2 + 1, 0.0, SAMPLE_RATE_HZ / 2, num_mels, SAMPLE_RATE_HZ
        )
        self.register_buffer("window_S", window_S, persistent=False)
        self.register_buffer("bank_KF", bank_KF, persistent=False)

    @torch.no_grad()
    def forward(self, wave_BS: Tensor) -> Tensor:
        """Compute log-mels.

        Args:
            wave_BS: Samples in [-1, 1] at 16 kHz; at least 257, since the edges are reflected.

        Returns:
            feat_BTF: float32, with T = 1 + S // 160: frames are centred, the first on sample 0.

        Raises:
            ValueError: The input is not a batch of waves, or the waves are too short.
        """
        if wave_BS.ndim != 2 or wave_BS.shape[1] <= N_FFT // 2:
            raise ValueError(
                f"wave must have shape (batch, samples > {N_FFT // 2}), "
                f"got {tuple(wave_BS.shape)}"
            )
        # The first sample has no predecessor: reflection takes the second one, as in the trainer.
        previous_BS = F.pad(wave_BS.unsqueeze(1), (1, 0), mode="reflect").squeeze(1)[:, :-1]
        spectrum_BKT = torch.stft(
            wave_BS - PRE_EMPHASIS * previous_BS,
            N_FFT,
            HOP_SAMPLES,
            WINDOW_SAMPLES,
            self.window_S,
            return_complex=True,
        )
        power_BTK = spectrum_BKT.abs().square().transpose(1, 2)
        return torch.log(power_BTK @ self.bank_KF + LOG_OFFSET)


def instance_norm(feat_BTF: Tensor) -> Tensor:
    """Normalise every mel bin of every crop to mean 0 and variance 1 over its frames."""
    # torch.var_mean over a middle dimension takes four times as long on a CPU.
    centred_BTF = feat_BTF - feat_BTF.mean(dim=1, keepdim=True)
    variance_B1F = centred_BTF.square().mean(dim=1, keepdim=True)
    return centred_BTF * torch.rsqrt(variance_B1F + INSTANCE_NORM_EPS)
