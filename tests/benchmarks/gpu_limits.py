"""What a card's memory and matrix units would allow: samples per second of a training step."""

import time
from collections.abc import Callable

import torch

from models import build_model
from tests.benchmarks.operators import operators_of_step
from trainable.config.trial_config import TrialConfig
from trainable.cost.macs import count_macs
from trainable.machine.engine import EngineConfig, resolve_engine

COPY_BYTES = 1 << 28
SIDE = 4096
NUM_CALLS = 20


def card_limits(config: TrialConfig, device: torch.device) -> str:
    """Measure a large copy and a large product; return the two limits as a line."""
    dtype = resolve_engine(EngineConfig(), device).dtype
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    bytes_per_s = 2 * COPY_BYTES / seconds_a_call(lambda: target.copy_(source), device)
    a, b = torch.ones(2, SIDE, SIDE, dtype=dtype, device=device)
    macs_per_s = SIDE**3 / seconds_a_call(lambda: torch.mm(a, b), device)
    batch_size = config.training.batch_size
    # Counted in float32; in a shorter type fewer bytes move, and the card allows more.
    step_bytes = operators_of_step(config).num_bytes
    shape = (batch_size, config.training.crop_frames, config.model.num_mels)
    # Forward once, backward twice.
    step_macs = 3 * count_macs(build_model(config.model), shape)
    by_memory, by_products = (
        batch_size * rate / amount
        for rate, amount in ((bytes_per_s, step_bytes), (macs_per_s, step_macs))
    )
    return (
        f"limits: memory {bytes_per_s / 1e9:.0f} GB/s, {by_memory:.0f} samples/s for "
        f"{step_bytes / 1e9:.1f} GB a step in float32; matrix units "
        f"{2 * macs_per_s / 1e12:.1f} TFLOPS, {by_products:.0f} samples/s for "
        f"{step_macs / 1e9:.0f} GMACs a step"
    )


def seconds_a_call(call: Callable[[], object], device: torch.device) -> float:
    """Return the mean seconds of some calls on a device, after a few others."""
    for _ in range(3):
        call()
    _synchronise(device)
    started = time.perf_counter()
    for _ in range(NUM_CALLS):
        call()
    _synchronise(device)
    return (time.perf_counter() - started) / NUM_CALLS


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
