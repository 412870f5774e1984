"""The operators of a training step: how many a GPU is asked for, and the bytes that they move.

`make bench NAME=operators`, or `python -m tests.benchmarks.operators`: both students, beside the
same step with PyTorch's own layers. The target is half as many operators and half the host's time.

The step runs on PyTorch's meta device, which computes nothing, with the forms of layers, clipping
and Adam that a GPU gets. An operator of a list (`_foreach_norm`, `_fused_adam_`) counts once: a
GPU does it in one kernel or a few. A cast under autocast is an operator; autocast knows no meta
device, so `operators_in_bfloat16` counts small tensors on the CPU, with the CPU's list of casts.
The host's time is the CPU time of a step on the meta device without the update by Adam, which is
a single call; the two sides take turns.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.shapes_only import META
from tests.benchmarks.report import Verdict, finish_all
from trainable.config.trial_config import TrialConfig
from trainable.cost.random_input_step import CPU, RandomInputStep
from trainable.machine.engine import Engine
from trainable.machine.hardware import describe_hardware

# They only make another view of a tensor, or memory for one.
_NO_WORK = """
    view detach t transpose select slice expand unsqueeze squeeze permute split _unsafe_view alias
    as_strided empty empty_like empty_strided new_empty new_empty_strided unbind split_with_sizes
    unfold lift_fresh promote_types _local_scalar_dense scalar_tensor _record_function_enter_new
    _record_function_exit randn arange remainder
"""
NO_WORK = frozenset(_NO_WORK.split())
NUM_SPEAKERS = 1_211
STUDENTS: dict[str, dict[str, int]] = {
    "2.66M": {},
    "0.58M": {"hidden_dim": 96, "num_blocks": 3},
}


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that counts operators and their bytes.

    Attributes:
        count: Operators that read or write memory.
        num_bytes: Bytes of the tensors that they read and write, each once an operator.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = self.num_bytes = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count the operator, and run it."""
        del types
        name = func._schema.name.split("::")[1]
        # The meta device has no fused Adam, and its result is in place.
        result = None if name == "_fused_adam_" else func(*args, **(kwargs or {}))
        if name not in NO_WORK:
            self.count += 1
            leaves = tree_leaves((args, kwargs or {}, result))
            self.num_bytes += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, Tensor))
        return result


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Give the meta device the forms of the optimizer and of clipping that a GPU gets."""
    gpu: Callable[[], list[str]] = lambda: ["cuda", "meta"]  # noqa: E731 - three short patches
    names = (
        "torch.utils._foreach_utils._get_foreach_kernels_supported_devices",
        "torch.optim.optimizer._get_foreach_kernels_supported_devices",
        "torch.optim.optimizer._get_fused_kernels_supported_devices",
    )
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(patch(name, gpu))
        stack.enter_context(
            patch("trainable.machine.engine.FUSED_ADAM_DEVICES", ("cpu", "cuda", "meta"))
        )
        yield


def student_config(batch_size: int = 64, **model: Any) -> TrialConfig:
    """Return the trial of the notes' student, or of one with other sizes, without a teacher."""
    return TrialConfig.model_validate(
        {
            "model": {"family": "mlp_mixer", **model},
            "loss": {"distillation": "none"},
            "training": {"batch_size": batch_size},
        }
    )


def operators_of_step(config: TrialConfig, *, few: bool = True) -> Operators:
    """Count a float32 step after the first one, as a GPU gets it, or with PyTorch's own layers."""
    with as_on_a_gpu(), layers(few):
        return _counted(config, Engine(device=META))


def operators_in_bfloat16(config: TrialConfig, *, few: bool = True) -> Operators:
    """Count a step in bfloat16; with `few`, in the forms of layers that a GPU gets."""

    with layers(few):
        return _counted(config, Engine(device=CPU, dtype=torch.bfloat16))


@contextmanager
def layers(few: bool) -> Iterator[None]:
    """Give the layers of every device the form for a GPU, or PyTorch's own operators."""
    with ExitStack() as stack:
        for module in ("layers", "pooling"):
            stack.enter_context(patch(f"models.{module}.runs_few_kernels", lambda _: few))
        yield


def host_ms(config: TrialConfig, rounds: int) -> dict[bool, float]:
    """Return the least CPU time of a step on the host, ms, by whether the layers are in few."""
    found: dict[bool, list[float]] = {True: [], False: []}
    with as_on_a_gpu(), patch("trainable.step.optimizers.EagerAdam.step", lambda *_: None):
        step = RandomInputStep(config, None, NUM_SPEAKERS, Engine(device=META))
        for number in range(2 * rounds):
            few = bool(number % 2)
            with layers(few):
                started = time.process_time()
                step.run(config.training.batch_size)
                found[few].append(time.process_time() - started)
    # The first two steps make gradients and fill PyTorch's caches.
    return {few: 1e3 * min(times[1:]) for few, times in found.items()}


def _counted(config: TrialConfig, engine: Engine) -> Operators:
    step = RandomInputStep(config, None, NUM_SPEAKERS, engine)
    # The first step also makes gradients and Adam's moments.
    with Operators():
        step.run(config.training.batch_size)
    with Operators() as counted:
        step.run(config.training.batch_size)
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="steps for the host's time")
    rounds = parser.parse_args().rounds
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    found = []
    for name, model in STUDENTS.items():
        config = student_config(**model)
        ratios = {}
        for what, count in (("float32", operators_of_step), ("bfloat16", operators_in_bfloat16)):
            # Casts do not depend on the size of a batch, which the CPU computes.
            counted = config if what == "float32" else student_config(4, **model)
            few, plain = (count(counted, few=each) for each in (True, False))
            ratios[what] = few.count / plain.count
            print(f"{name} {what}: {plain.count} operators, now {few.count}", flush=True)
            if what == "float32":
                print(f"  {plain.num_bytes / 1e9:.1f} GB, now {few.num_bytes / 1e9:.1f}")
        host = host_ms(config, rounds)
        ratios["host time"] = host[True] / host[False]
        print(f"{name} host: {host[False]:.1f} ms, now {host[True]:.1f}", flush=True)
        found += [
            Verdict(name=f"operators, {name}, {what}", ratio=ratio, target=0.5, is_limit=True)
            for what, ratio in ratios.items()
        ]
    finish_all(found)


if __name__ == "__main__":
    main()
