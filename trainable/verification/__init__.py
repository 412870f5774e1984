"""How well a model verifies speakers: metrics, scoring protocols, evaluation, intervals."""
