import pytest
import torch

from trainable.errors import TrainingError
from trainable.trial import trial_device


@pytest.mark.parametrize(("device", "num_gpus"), [("cpu", 0), ("cpu", 0.5), ("auto", 0)])
def test_trial_computes_on_the_cpu_unless_it_was_given_a_gpu(device, num_gpus):
    assert trial_device(device, num_gpus) == torch.device("cpu")


@pytest.mark.parametrize(("device", "num_gpus"), [("auto", 0.25), ("cuda", 1)])
def test_gpu_that_torch_cannot_use_is_an_error_that_says_the_fix(monkeypatch, device, num_gpus):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = rf"given {num_gpus:g} GPUs, but torch .* cannot use CUDA .* set device: cpu"
    with pytest.raises(TrainingError, match=message):
        trial_device(device, num_gpus)


def test_gpu_that_was_given_is_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert trial_device("auto", 0.25) == torch.device("cuda")
