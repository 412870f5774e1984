import pytest
import torch

from trainable.checkpoint import CheckpointFolder
from trainable.config import TrialConfig
from trainable.corpus import read_corpus_config
from trainable.data import load_training_data
from trainable.errors import TrainingError
from trainable.training import Trainer
from trainable.trial import TrialTask, build_trainer, trial_device

CPU = torch.device("cpu")
SMALL = {
    "model": {"family": "mlp_mixer", "hidden_dim": 8, "num_blocks": 2, "num_frames": 40},
    "training": {"batch_size": 8, "crop_frames": 40},
}


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


@pytest.fixture
def teacher_file(make_corpus, tmp_path):
    corpus = read_corpus_config(make_corpus(tmp_path / "corpus"))
    data = load_training_data(corpus, cache_dir=tmp_path / "cache")
    config = TrialConfig.model_validate(SMALL | {"loss": {"distillation": "none"}})
    return CheckpointFolder(tmp_path / "teacher").save(Trainer(config, data, device=CPU))


@pytest.mark.parametrize("loss", [{"distillation": "dkd"}, {"stages": "cosine"}])
def test_trial_learns_from_the_teacher_in_a_file(teacher_file, tmp_path, loss):
    task = TrialTask(
        trial=0,
        config=TrialConfig.model_validate(SMALL | {"loss": loss}).canonical(),
        folder=tmp_path / "trial",
        corpus=read_corpus_config(tmp_path / "corpus" / "corpus.yaml"),
        cache_dir=tmp_path / "cache",
        teacher=teacher_file,
        device="cpu",
        num_threads=1,
        num_gpus=0,
        engine={"precision": "bfloat16"},
    )
    trainer = build_trainer(TrialTask.model_validate(task.model_dump(mode="json")))
    assert trainer.engine.precision == "bfloat16"
    report = trainer.run_epoch()
    assert report.distill_share > 0
    assert (report.loss_stages is None) == ("stages" not in loss)
