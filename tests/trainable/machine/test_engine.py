"""The precision that each device gets, and the settings that are refused."""

import os
from collections.abc import Iterator

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from spaces.files.errors import ConfigError, TrainingError
from trainable.machine.engine import (
    FIXED_WORKSPACE,
    WORKERS_VARIABLE,
    Engine,
    EngineConfig,
    explain_step_error,
    require_same_engine,
    resolve_engine,
    set_determinism,
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
        explain_step_error(raised.value)
    else:
        with pytest.raises(TrainingError, match=r"Failed to find .* install a C\+\+ compiler"):
            explain_step_error(raised.value)


@pytest.fixture
def algorithms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose choice of algorithms is set back after the test."""
    monkeypatch.delenv(FIXED_WORKSPACE[0], raising=False)
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    yield
    torch.backends.cudnn.benchmark = before
    torch.use_deterministic_algorithms(False)
    os.environ.pop(FIXED_WORKSPACE[0], None)


@pytest.mark.usefixtures("algorithms")
def test_a_gpu_computes_the_same_bits_again_where_it_is_to() -> None:
    set_determinism(EngineConfig(deterministic=True), CUDA)
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.backends.cudnn.benchmark is False
    # The next trial of a process has its own setting.
    set_determinism(EngineConfig(), CUDA)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.usefixtures("algorithms")
def test_a_cpu_keeps_its_algorithms() -> None:
    set_determinism(EngineConfig(deterministic=True), CPU)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.usefixtures("algorithms")
def test_an_operator_without_a_deterministic_form_is_named_with_the_fix() -> None:
    torch.use_deterministic_algorithms(True)
    with pytest.raises(RuntimeError, match="deterministic implementation") as raised:
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
    with pytest.raises(TrainingError, match=r"engine.deterministic is on, but put_ .* to false"):
        explain_step_error(raised.value)


@pytest.mark.parametrize(("variable", "workers"), [(None, 1), ("3", 3)])
def test_the_compiler_starts_no_more_workers_than_the_trial_has_threads(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, workers: int
) -> None:
    monkeypatch.delenv(WORKERS_VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(WORKERS_VARIABLE, variable)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    from torch._inductor import config as inductor  # takes seconds to import

    with inductor.patch(compile_threads=3):
        Engine(device=CPU, compiler="eager").compiled(nn.Linear(3, 3))
        assert inductor.compile_threads == workers


def test_a_checkpoint_of_before_continues_with_what_auto_stood_for() -> None:
    now = EngineConfig(precision="float32")
    require_same_engine({"precision": "auto", "compile": False}, now)
    with pytest.raises(TrainingError, match=r"'bfloat16'.* not .*'float32'.* keeps its engine"):
        require_same_engine({"precision": "bfloat16"}, now)
    with pytest.raises(TrainingError, match=r"'deterministic': True.* not .*False"):
        require_same_engine({"precision": "auto", "deterministic": True}, now)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="precison"):
        EngineConfig.model_validate({"precison": "auto"})
