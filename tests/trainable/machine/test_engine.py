"""The precision that each device gets, and the settings that are refused."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch._inductor import config as inductor

from spaces.files.errors import ConfigError, TrainingError
from trainable.machine.engine import (
    WORKERS_VARIABLE,
    Engine,
    EngineConfig,
    explain_compile_error,
    resolve_engine,
)
from trainable.machine.memory_share import is_out_of_memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def gpu(monkeypatch: pytest.MonkeyPatch, *, has_bfloat16: bool) -> None:
    """Make PyTorch report a GPU; nothing is computed there."""

    def is_supported(*, including_emulation: bool = True) -> bool:
        return including_emulation or has_bfloat16

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_the_cpu_computes_in_float32_by_default(
    precision: str, dtype: torch.dtype
) -> None:
    engine = resolve_engine(EngineConfig(precision=precision), CPU)
    assert (engine.dtype, engine.scales_loss, engine.compiler) == (dtype, False, None)


@pytest.mark.parametrize(
    ("has_bfloat16", "dtype", "scales_loss"),
    [(True, torch.bfloat16, False), (False, torch.float16, True)],
)
def test_a_gpu_has_bfloat16_in_hardware_or_float16_with_a_loss_scale(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, dtype: torch.dtype, scales_loss: bool
) -> None:
    gpu(monkeypatch, has_bfloat16=has_bfloat16)
    engine = resolve_engine(EngineConfig(), CUDA)
    assert (engine.dtype, engine.scales_loss) == (dtype, scales_loss)
    plain = resolve_engine(EngineConfig(precision="float32"), CUDA)
    assert (plain.dtype, plain.scales_loss) == (torch.float32, False)


def test_float16_is_refused_on_the_cpu() -> None:
    with pytest.raises(ConfigError, match="float32 or bfloat16 without a GPU, got float16 on dev"):
        resolve_engine(EngineConfig(precision="float16"), CPU)


def test_bfloat16_is_refused_on_a_gpu_that_only_emulates_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu(monkeypatch, has_bfloat16=False)
    with pytest.raises(ConfigError, match=r"float16, float32 or auto .* got bfloat16 with Tes"):
        resolve_engine(EngineConfig(precision="bfloat16"), CUDA)


@pytest.mark.parametrize(
    ("met", "is_for_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("Failed to find C compiler"), False),
    ],
)
def test_compiling_without_memory_is_not_taken_for_a_compiler_that_is_missing(
    met: RuntimeError, is_for_memory: bool
) -> None:
    def backend(*_: object) -> None:
        raise met

    compiled = torch.compile(nn.Linear(3, 3), backend=backend)
    with pytest.raises(RuntimeError, match=str(met)) as raised:
        compiled(torch.zeros(2, 3))
    assert is_out_of_memory(raised.value) == is_for_memory
    if is_for_memory:
        explain_compile_error(raised.value)
    else:
        with pytest.raises(TrainingError, match=r"Failed to find .* install a C\+\+ compiler"):
            explain_compile_error(raised.value)


@pytest.mark.parametrize(("variable", "workers"), [(None, 1), ("3", 3)])
def test_the_compiler_starts_no_more_workers_than_the_trial_has_threads(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, workers: int
) -> None:
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(WORKERS_VARIABLE, variable)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    with inductor.patch(compile_threads=3):
        Engine(device=CPU, compiler="eager").compiled(nn.Linear(3, 3))
        assert inductor.compile_threads == workers


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="precison"):
        EngineConfig.model_validate({"precison": "auto"})
