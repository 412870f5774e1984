"""The names of the experiment trackers, apart from their code: settings load none of it."""

from typing import Literal

TrackerName = Literal["mlflow", "wandb"]
