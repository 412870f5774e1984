"""How a training run is computed, not what: precision, loss scaling, compilation."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch.amp.grad_scaler import GradScaler

from spaces.files.errors import ConfigError, TrainingError
from spaces.files.settings import Settings
from trainable.machine.memory_share import is_out_of_memory

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Devices for which PyTorch has a fused Adam: one kernel updates many weights.
FUSED_ADAM_DEVICES = ("cpu", "cuda")
# With it cuBLAS adds in a fixed order; deterministic algorithms of PyTorch demand it.
FIXED_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
NOT_DETERMINISTIC = "does not have a deterministic implementation"
WORKERS_VARIABLE = "TORCHINDUCTOR_COMPILE_THREADS"
INDUCTOR = "inductor"  # the default backend of torch.compile


class EngineConfig(Settings):
    """How trials are computed. It is part neither of a trial's config nor of its hash."""

    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Of the networks' passes; losses and weights are float32. auto: float32 on "
        "the CPU, bfloat16 on a GPU that has it in hardware, else float16 with a loss scale.",
    )
    compile: bool = Field(
        False, description="torch.compile the student for training; needs a C++ compiler."
    )
    deterministic: bool = Field(
        False,
        description="On a GPU, only algorithms that give the same bits again, which are slower. "
        "The CPU's always do.",
    )
    capture: bool = Field(
        False,
        description="On a GPU, start the kernels of a training step as one CUDA graph, for small "
        "students on a fast card. A model of your own must compute nothing on the host in its "
        "forward pass.",
    )


DEFAULT_ENGINE = EngineConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An `EngineConfig` resolved for a device.

    Attributes:
        device: Device of the training step.
        dtype: Type of the networks' passes; float32 means no autocast.
        scales_loss: Whether the loss is scaled up for the backward pass, so that small gradients
            do not vanish in float16.
        compiler: Backend of `torch.compile`, None if the student is not compiled.
        captures: Whether steps are recorded once and replayed.
    """

    device: torch.device
    dtype: torch.dtype = torch.float32
    scales_loss: bool = False
    compiler: str | None = None
    captures: bool = False

    @property
    def precision(self) -> str:
        """The name of the networks' type, as `EngineConfig.precision` has it."""
        return next(name for name, dtype in DTYPES.items() if dtype == self.dtype)

    @property
    def has_fused_adam(self) -> bool:
        """Whether the device has the fused form of Adam; other devices use the foreach form."""
        return self.device.type in FUSED_ADAM_DEVICES

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context that a network's pass runs in."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scaler(self) -> GradScaler:
        """Return the loss scaler; it does nothing if the loss is not scaled."""
        device_type = self.device.type if self.scales_loss else "cpu"
        return GradScaler(device_type, enabled=self.scales_loss)

    def compiled(self, network: Callable[..., Any]) -> Callable[..., Any]:
        """Return the network for the step; if it is compiled, then by its first call."""
        if self.compiler is None:
            return network
        limit_compile_workers(torch.get_num_threads())
        compiled: Callable[..., Any] = torch.compile(network, backend=self.compiler)
        return compiled


def resolve_engine(config: EngineConfig, device: torch.device) -> Engine:
    """Resolve the settings for a device.

    Raises:
        ConfigError: The device does not support the requested precision.
    """
    precision = config.precision
    if device.type != "cuda":
        require_precision(precision, f"device {device.type}")
        dtype = torch.float32 if precision == "auto" else DTYPES[precision]
    else:
        has_bfloat16 = gpu_has_bfloat16()
        if precision == "bfloat16" and not has_bfloat16:
            raise ConfigError(
                "engine.precision must be float16, float32 or auto on a GPU without bfloat16 in "
                f"hardware, got bfloat16 with {torch.cuda.get_device_name(device)}"
            )
        usual = "bfloat16" if has_bfloat16 else "float16"
        dtype = DTYPES[usual if precision == "auto" else precision]
    # Only float16 needs a loss scale: bfloat16 has the exponents of float32.
    return Engine(
        device=device,
        dtype=dtype,
        scales_loss=dtype == torch.float16,
        compiler=INDUCTOR if config.compile else None,
        captures=config.capture and device.type == "cuda",
    )


def gpu_has_bfloat16() -> bool:
    """Return whether the current GPU has bfloat16 in hardware."""
    # Without the argument PyTorch also counts GPUs that emulate bfloat16, which is slow.
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def set_determinism(config: EngineConfig, device: torch.device) -> None:
    """Set PyTorch's choice of algorithms in this process for a device; a CPU has no choice.

    Call it before the first product on a GPU: cuBLAS reads its variable only then.
    """
    if device.type != "cuda":
        return
    if config.deterministic:
        os.environ.setdefault(*FIXED_WORKSPACE)
    torch.use_deterministic_algorithms(config.deterministic)
    # The fastest of several algorithms may be another one in every process.
    torch.backends.cudnn.benchmark = False


def require_precision(precision: str, where: str) -> None:
    """Refuse a precision that needs a GPU.

    Args:
        precision: The requested precision.
        where: What has no GPU, for the message.

    Raises:
        ConfigError: The precision is float16.
    """
    if precision == "float16":
        raise ConfigError(
            "engine.precision must be auto, float32 or bfloat16 without a GPU, got float16 on "
            f"{where}, which has no fast float16"
        )


def require_same_engine(saved: Mapping[str, Any], now: EngineConfig) -> None:
    """Refuse to continue a checkpoint with another engine.

    Args:
        saved: The engine in the checkpoint.
        now: The engine here, its precision resolved.

    Raises:
        TrainingError: They differ.
    """
    then = EngineConfig.model_validate(saved)
    # Earlier versions saved `auto`, which stood for the same as today.
    if then.precision == "auto":
        then = then.model_copy(update={"precision": now.precision})
    if then != now:
        raise TrainingError(
            f"the checkpoint was computed with engine {then.model_dump()}, not "
            f"{now.model_dump()}: a run keeps its engine; set the same engine, or choose another "
            "output folder"
        )


def limit_compile_workers(most: int) -> None:
    """Limit the processes that the compiler starts; with one it compiles in this process.

    PyTorch starts as many as the machine has cores, 32 at most, in each process that compiles. A
    number that the user has set is kept.
    """
    if WORKERS_VARIABLE not in os.environ:
        from torch._inductor import config  # takes a second to import

        config.compile_threads = most


def explain_step_error(error: RuntimeError) -> None:
    """Raise an error that names the fix if a setting of the engine is the cause, else return.

    Running out of memory in the compiler counts as another error, since it has another fix.

    Raises:
        TrainingError: The compiler failed, or an operator has no deterministic form.
    """
    if NOT_DETERMINISTIC in str(error):
        reason = str(error).partition(NOT_DETERMINISTIC)[0].strip()
        raise TrainingError(
            f"engine.deterministic is on, but {reason} {NOT_DETERMINISTIC} on a GPU; set "
            "engine.deterministic to false, or use another model or loss"
        ) from error
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import

    if isinstance(error, TorchDynamoException) and not is_out_of_memory(error):
        # Torch puts the cause on the first two lines, and advice on debugging below.
        reason = " ".join(str(error).split("\n")[:2])
        raise TrainingError(
            f"engine.compile is on, but the student could not be compiled ({reason}); install a "
            "C++ compiler (g++; on a GPU Triton too), or set engine.compile to false"
        ) from error
