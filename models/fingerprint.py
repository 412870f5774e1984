"""One hash of a built model: configs that build the same model have the same hash."""

import hashlib
import json

from torch import nn

# 64 bits: a collision by chance among the models of a search is negligible.
FINGERPRINT_DIGITS = 16


def model_fingerprint(model: nn.Module) -> str:
    """Return 16 hexadecimal digits that identify a built model's modules, parameters and buffers.

    The hash covers the name, class and `extra_repr` of each module, the names and shapes of
    parameters and buffers, and whether a parameter is trained. So `extra_repr` must show every
    attribute that changes what a module computes. Values, device and mode do not count.
    """
    modules = [
        (name, f"{type(module).__module__}.{type(module).__qualname__}", module.extra_repr())
        for name, module in model.named_modules()
    ]
    parameters = [
        (name, tuple(each.shape), each.requires_grad) for name, each in model.named_parameters()
    ]
    buffers = [(name, tuple(each.shape)) for name, each in model.named_buffers()]
    text = json.dumps([modules, parameters, buffers])
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS]
