"""A training step of the Mixer student against the same step written with PyTorch's own layers.

`make bench NAME=student-step`, or `python -m tests.benchmarks.student_step`. Both sides have the
same weights, the same resident random crops and the whole step: forward, AAM-softmax and cosine
distillation, backward, clipping, Adam. The plain side (`plain_mixer.py`) uses PyTorch's defaults;
the other is Veer's model, with the trainer's fused Adam. They take turns in one process, whose
memory allocator keeps its defaults.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import MLPMixerConfig, build_model
from models.fused.products import linear
from tests.benchmarks.plain_mixer import plain_twin
from tests.benchmarks.report import finish
from trainable.config.trial_config import LossConfig
from trainable.cost.macs import count_macs
from trainable.cost.timing import time_interleaved
from trainable.loss.distillation import cosine_distillation
from trainable.loss.terms import aam_softmax_logits
from trainable.machine.cores import available_cores
from trainable.machine.hardware import describe_hardware

BATCH_SIZE = 64
NUM_SPEAKERS = 275
MAX_GRAD_NORM = 5.0
LR = 1e-3
ROUNDS = {192: 9, 64: 25}
TARGETS = {192: 1.3, 64: 2.0}
CONFIGS = (
    MLPMixerConfig(hidden_dim=192, num_blocks=6, expansion_factor=3),
    MLPMixerConfig(hidden_dim=64, num_blocks=4, expansion_factor=3),
)
SIDE_OF_PRODUCT = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What every step sees: crops, their speakers and embeddings of a teacher, all random."""

    feat_BTF: Tensor
    speaker_B: Tensor
    teacher_BD: Tensor


@dataclass(slots=True, kw_only=True)
class Step:
    """A training step that measures its CPU time.

    Attributes:
        embed: The network: log-mels to embeddings.
        parameters: All trained parameters: the network's, then the speaker centres.
        cpu_s: CPU seconds of each step so far, over all threads.
    """

    embed: Callable[[Tensor], Tensor]
    parameters: Sequence[nn.Parameter]
    optimizer: torch.optim.Optimizer
    batch: Batch
    cpu_s: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Run one step and return its loss."""
        start = time.process_time()
        loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, MAX_GRAD_NORM)
        self.optimizer.step()
        self.cpu_s.append(time.process_time() - start)
        return loss.item()

    def loss(self) -> Tensor:
        """Return half AAM-softmax plus half cosine distillation."""
        config, batch = LossConfig(), self.batch
        emb_BD = self.embed(batch.feat_BTF)
        logits_BK, _ = aam_softmax_logits(
            emb_BD,
            self.parameters[-1],
            batch.speaker_B,
            margin=config.margin,
            scale=config.scale,
        )
        classification = F.cross_entropy(logits_BK, batch.speaker_B)
        return 0.5 * classification + 0.5 * cosine_distillation(emb_BD, batch.teacher_BD, config)


def random_batch(config: MLPMixerConfig, batch_size: int) -> Batch:
    return Batch(
        feat_BTF=torch.randn(batch_size, config.num_frames, config.num_mels),
        speaker_B=torch.randint(NUM_SPEAKERS, (batch_size,)),
        teacher_BD=torch.randn(batch_size, config.embedding_dim),
    )


def steps(config: MLPMixerConfig, batch_size: int = BATCH_SIZE) -> dict[str, Step]:
    """Return the plain step and Veer's, with the same weights and the same batch."""
    torch.manual_seed(0)
    model = build_model(config)
    plain = plain_twin(model, config)
    centre_KD = 0.05 * torch.randn(NUM_SPEAKERS, config.embedding_dim)
    batch = random_batch(config, batch_size)
    plain_parameters = [*plain.parameters(), nn.Parameter(centre_KD.clone())]
    parameters = [*model.parameters(), nn.Parameter(centre_KD)]
    return {
        "plain": Step(
            embed=plain,
            parameters=plain_parameters,
            optimizer=torch.optim.Adam(plain_parameters, lr=LR),
            batch=batch,
        ),
        "product": Step(
            embed=lambda feat_BTF: model(feat_BTF).embedding_BD,
            parameters=parameters,
            optimizer=torch.optim.Adam(parameters, lr=LR, fused=True),
            batch=batch,
        ),
    }


def product_rates() -> dict[str, float]:
    """Return giga multiply-accumulates per second of one large product, by MKL and oneDNN."""
    a, b = torch.randn(2, SIDE_OF_PRODUCT, SIDE_OF_PRODUCT)
    calls = {"torch.mm": lambda: torch.mm(a, b), "oneDNN": lambda: linear(a, b)}
    seconds = time_interleaved(calls, rounds=9, warmup_rounds=2, seed=0)
    return {
        name: SIDE_OF_PRODUCT**3 / statistics.median(values) / 1e9
        for name, values in seconds.items()
    }


def ratio_on(config: MLPMixerConfig, num_threads: int) -> float:
    """Return the median ratio of the rounds; print the times behind it."""
    torch.set_num_threads(num_threads)
    rates = product_rates()
    both, rounds = steps(config), ROUNDS[config.hidden_dim]
    seconds = time_interleaved(both, rounds=rounds, warmup_rounds=2, seed=0)
    ratios = sorted(a / b for a, b in zip(seconds["plain"], seconds["product"], strict=True))
    cpu = [
        a / b for a, b in zip(both["plain"].cpu_s[2:], both["product"].cpu_s[2:], strict=True)
    ]
    ratio = statistics.median(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    print(
        f"width {config.hidden_dim}, {config.num_blocks} blocks, expansion "
        f"{config.expansion_factor}, {num_threads} threads, {rounds} rounds: ratio {ratio:.2f} "
        f"(quartiles {low:.2f} to {high:.2f}; by CPU time {statistics.median(cpu):.2f})"
    )
    # Forward once, backward twice.
    shape = (BATCH_SIZE, config.num_frames, config.num_mels)
    gmacs = 3 * count_macs(build_model(config), shape) / 1e9
    for name, values in seconds.items():
        median_s = statistics.median(values)
        shares = ", ".join(
            f"{100 * gmacs / median_s / rate:.0f} % of {library}'s {rate:.0f}"
            for library, rate in rates.items()
        )
        print(
            f"  {name:7s}  median {1e3 * median_s:6.0f} ms  "
            f"{gmacs / median_s:5.1f} GMACs/s: {shares}"
        )
    return ratio


def main() -> None:
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    print(f"batch {BATCH_SIZE}, 200 frames, 80 mels, {NUM_SPEAKERS} speakers")
    ratios = {
        (config.hidden_dim, num_threads): ratio_on(config, num_threads)
        for num_threads in sorted({1, available_cores()})
        for config in CONFIGS
    }
    # The one that is furthest below its target, or the least above.
    width, num_threads = min(ratios, key=lambda cell: ratios[cell] / TARGETS[cell[0]])
    finish(
        f"student-step at width {width}, {num_threads} threads",
        ratio=ratios[width, num_threads],
        target=TARGETS[width],
    )


if __name__ == "__main__":
    main()
