"""The names of the samplers, apart from them: the command line loads no Optuna for its help."""

from typing import Literal

SamplerKind = Literal["tpe", "random", "grid", "gp"]
