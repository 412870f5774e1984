"""The loss of a trial: margin and distillation terms, stages, and the teacher output they compare with."""
