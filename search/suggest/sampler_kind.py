"""The names of the samplers, apart from them: the command line loads no Optuna for its help."""

from typing import Literal

SamplerKind = Literal["guided", "tpe", "random", "grid", "gp"]
