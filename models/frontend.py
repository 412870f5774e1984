"""Waveform to log-mel: the one front end of training, evaluation and export.

Shapes: B batch, S samples, T frames, F mel bins.

Source: voxceleb_trainer's protocol, section "Front end": n_fft 512, Hamming window of 400 samples,
hop 160 at 16 kHz, pre-emphasis 0.97, log(x + 1e-6), instance normalisation over the mel bins.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

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

    def __init__(self, num_mels: int = NUM_MELS) -> None:
        super().__init__()
        self.mel = MelSpectrogram(
            sample_rate=SAMPLE_RATE_HZ,
            n_fft=N_FFT,
            win_length=WINDOW_SAMPLES,
            hop_length=HOP_SAMPLES,
            window_fn=torch.hamming_window,
            n_mels=num_mels,
        )

    def state_dict(self, *_args: object, **_kwargs: object) -> dict[str, Tensor]:  # type: ignore[override]
        """Return an empty dictionary: window and filter bank are constants."""
        return {}

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
        mel_BFT = self.mel(wave_BS - PRE_EMPHASIS * previous_BS)
        return torch.log(mel_BFT + LOG_OFFSET).transpose(1, 2)


def instance_norm(feat_BTF: Tensor) -> Tensor:
    """Normalise every mel bin of every crop to mean 0 and variance 1 over its frames."""
    # torch.var_mean over a middle dimension takes four times as long on a CPU.
    centred_BTF = feat_BTF - feat_BTF.mean(dim=1, keepdim=True)
    variance_B1F = centred_BTF.square().mean(dim=1, keepdim=True)
    return centred_BTF * torch.rsqrt(variance_B1F + INSTANCE_NORM_EPS)
