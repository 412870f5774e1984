"""Networks on PyTorch's meta device, which has shapes but no numbers and takes no memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

META = torch.device("meta")


@contextmanager
def building_on(device: torch.device) -> Iterator[None]:
    """Make new tensors on a device inside the block, where a network is built."""
    # Entered first, so that it sees the device of each new tensor.
    with _WithoutDraws(), device:
        yield


class _WithoutDraws(TorchFunctionMode):
    """Leaves out normal draws on the meta device.

    For them alone PyTorch imports its compiler, which takes seconds.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        options = dict(kwargs or {})
        if func is Tensor.normal_ and args[0].device == META:
            return args[0]
        if func is torch.randn and options.get("device") == META:
            options.pop("generator", None)
            return torch.empty(*args, **options)
        return func(*args, **options)
