"""Distillation terms that have a direction; imports no torch, so that tables open quickly."""

# Terms that fix the direction of the student's embeddings to the teacher's; the others allow any
# rotation.
DIRECTED = frozenset({"mse", "cosine", "infonce"})
