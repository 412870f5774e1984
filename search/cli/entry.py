"""Entry point of the `veer` command.

Imports nothing of Veer at the top: a process that multiprocessing spawns imports this file again,
and must not pay for Ray and Optuna.
"""

import os

# Threads that spin while they wait, OpenMP's default, starve when the cores are shared: measured
# on two busy cores, an epoch of the demo teacher took up to a hundred times as long. With a tenth
# of this spin a second thread brought nothing to a training step: it slept whenever it was needed.
# Must be set before PyTorch is loaded; what the person set stands.
SPIN_COUNT = "10000"


def run_app() -> None:
    """Run the command line."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from search.cli.app import run_app

    run_app()
