"""What a built model is, as one hash: two configs that build the same have the same."""

import hashlib
import json

from torch import nn

FINGERPRINT_DIGITS = 16


def model_fingerprint(model: nn.Module) -> str:
    """16 hexadecimal digits that name a built model's modules, parameters and buffers.

    Of each module its name, class and `extra_repr`, where every attribute must stand that changes
    what the module computes; of parameters and buffers names and shapes, of parameters whether
    they are trained. Values, device and mode do not count.
    """
    modules = [
        (name, f"{type(module).__module__}.{type(module).__qualname__}", module.extra_repr())
        for name, module in model.named_modules()
    ]
    parameters = [
        (name, tuple(each.shape), each.requires_grad) for name, each in model.named_parameters()
    ]
    buffers = [(name, tuple(each.shape)) for name, each in model.named_buffers()]
    told = json.dumps([modules, parameters, buffers])
    return hashlib.sha256(told.encode()).hexdigest()[:FINGERPRINT_DIGITS]
