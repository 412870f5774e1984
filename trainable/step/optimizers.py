"""The optimizers of a training, which do not import PyTorch's compiler.

PyTorch wraps methods of its optimizers so that its compiler does not trace into them. The first
call of such a method imports the compiler, which takes seconds in every process. Veer compiles
only the student's forward pass, which calls no optimizer.
"""

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from trainable.config.training_config import TrainingConfig
from trainable.machine.engine import Engine

_ADAM_STEP = inspect.unwrap(Adam.step)
_SGD_STEP = inspect.unwrap(SGD.step)
# In the state of a parameter: Adam's name for its number of updates.
STEP = "step"

OptimizerT = TypeVar("OptimizerT", bound=Optimizer)


def _unwrapped(kind: type[OptimizerT]) -> type[OptimizerT]:
    """Return an optimizer class with the methods that PyTorch wraps, besides `step`."""
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        setattr(kind, name, inspect.unwrap(getattr(kind, name)))
    return kind


@_unwrapped
class EagerAdam(Adam):
    """Adam with the methods that PyTorch wraps; the results are the same to the last bit."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update the parameters by their gradients."""
        return _ADAM_STEP(self, closure)


@_unwrapped
class EagerAdamW(AdamW):
    """AdamW, likewise."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update the parameters by their gradients."""
        return _ADAM_STEP(self, closure)


@_unwrapped
class EagerSGD(SGD):
    """SGD, likewise; one parameter's state also has the number of updates, as with Adam."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update the parameters by their gradients."""
        self._prepare()
        result = _SGD_STEP(self, closure)
        # Set by the loss scaler, whose batch may have overflowed: then there was no update.
        overflowed: Tensor | None = getattr(self, "found_inf", None)
        for state in self.state.values():
            if STEP in state:
                state[STEP] += 1 if overflowed is None else 1 - overflowed.to(state[STEP].device)
        return result

    def _prepare(self) -> None:
        """Make the state of parameters that have their first gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None or weight in self.state:
                    continue
                if not any(STEP in each for each in self.state.values()):
                    self.state[weight][STEP] = torch.zeros((), device=weight.device)
                # A first step without them is the same, but one that overflowed would leave the
                # fused form with momenta that were never written.
                if group["momentum"]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)


_CLASSES: dict[str, type[EagerAdam | EagerAdamW | EagerSGD]] = {
    "adam": EagerAdam,
    "adamw": EagerAdamW,
    "sgd": EagerSGD,
}


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: TrainingConfig, engine: Engine
) -> Optimizer:
    """Return the optimizer that a config names, for these parameters.

    Args:
        parameters: On the engine's device.
        config: Kind, learning rate, weight decay and momentum are taken from it.
        engine: Decides the form of the update.
    """
    own: dict[str, Any] = {}
    if config.optimizer == "sgd":
        own = {"momentum": config.momentum, "nesterov": config.nesterov}
    lr: float | Tensor = config.lr
    # A recorded step has its numbers fixed, except those in the device's memory.
    if engine.captures and config.moves_lr_in_steps:
        lr = torch.tensor(config.lr, device=engine.device)
    return _CLASSES[config.optimizer](
        parameters,
        lr=lr,
        weight_decay=config.weight_decay,
        **own,
        **form_of_update(config, engine),
    )


def form_of_update(config: TrainingConfig, engine: Engine) -> dict[str, Any]:
    """Return the form of an optimizer's update on a device, which does not change its results."""
    has_fused = engine.has_fused_adam
    form = {"fused": has_fused, "foreach": not has_fused}
    return form if config.optimizer == "sgd" else form | {"capturable": engine.captures}


def moments_of(config: TrainingConfig) -> tuple[str, ...]:
    """Return the names of the tensors that an optimizer keeps for every weight."""
    if config.optimizer == "sgd":
        return ("momentum_buffer",) if config.momentum else ()
    return ("exp_avg", "exp_avg_sq")


def num_updates(optimizer: Optimizer) -> int:
    """Return the number of updates so far; waits for the device."""
    # The largest number: a weight without a gradient takes no part in a step.
    taken = (int(state[STEP].item()) for state in optimizer.state.values() if STEP in state)
    return max(taken, default=0)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
