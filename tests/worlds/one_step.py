"""One training step of a tiny student with a tiny teacher, and batches for it."""

import numpy as np
import torch

from models import LSTMAutoencoderConfig, build_model
from trainable.config.trial_config import TrialConfig
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import Crops
from trainable.machine.engine import Engine
from trainable.step.batch import Batch
from trainable.step.step import TrainingStep
from trainable.teachers.network import Teacher

CPU = torch.device("cpu")
FRAMES, SPEAKERS = 40, 5
SCALED = Engine(device=CPU, dtype=torch.bfloat16, scales_loss=True)


def trial(**training: object) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": {
                "family": "mlp_mixer",
                "hidden_dim": 16,
                "num_blocks": 1,
                "num_frames": FRAMES,
                "embedding_dim": 24,
            },
            "training": {"crop_frames": FRAMES, **training},
        }
    )


def make_step(engine: Engine, config: TrialConfig | None = None) -> TrainingStep:
    config = config or trial()
    torch.manual_seed(0)
    student = build_model(config.model).to(engine.device)
    network = LSTMAutoencoderConfig(
        hidden_dim=16, num_layers=1, bottleneck_dim=12, embedding_dim=24
    )
    objective = Objective(
        config.loss,
        student,
        Teacher(model=build_model(network)).to(engine.device),
        speakers=tuple(str(number) for number in range(SPEAKERS)),
        probe_BTF=torch.randn(1, FRAMES, 80, device=engine.device),
    )
    return TrainingStep(
        student, objective.to(engine.device), config.training, engine, steps_per_epoch=20
    )


def make_batch(device: torch.device = CPU, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    feat_BTF = torch.randn(8, FRAMES, 80, generator=generator).to(device)
    nowhere_B = np.zeros(8, np.int64)
    speaker_B = (torch.arange(8) % SPEAKERS).to(device)
    return Batch(feat_BTF, Crops(feat_BTF, nowhere_B, nowhere_B), speaker_B)
