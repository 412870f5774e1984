"""Adam that does not import PyTorch's compiler.

PyTorch wraps methods of its optimizers so that its compiler does not trace into them. The first
call of such a method imports the compiler, which takes seconds in every process. Veer compiles
only the student's forward pass, which calls no optimizer.
"""

import inspect
from typing import Any

import torch
from torch.optim import Adam

_STEP = inspect.unwrap(Adam.step)


class EagerAdam(Adam):
    """Adam with the methods that PyTorch wraps; the results are the same to the last bit."""

    add_param_group = inspect.unwrap(Adam.add_param_group)
    zero_grad = inspect.unwrap(Adam.zero_grad)
    state_dict = inspect.unwrap(Adam.state_dict)
    load_state_dict = inspect.unwrap(Adam.load_state_dict)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update the parameters by their gradients."""
        return _STEP(self, closure)
