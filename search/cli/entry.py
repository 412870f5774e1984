"""Entry point of the `veer` command.

Imports nothing of Veer at module level: a process spawned by multiprocessing imports this file
again, and must not load Ray and Optuna.
"""

import os

# By default waiting threads of OpenMP spin, and starve others when the cores are shared: measured
# on two busy cores, an epoch of the demo teacher took up to a hundred times as long. With a tenth
# of this count a second thread did not speed up a training step: it slept whenever it was needed.
# Must be set before PyTorch is loaded; a value that the user has set is kept.
SPIN_COUNT = "10000"


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from search.cli.streams import prepare_streams
    from trainable.machine.cores import set_thread_limit

    prepare_streams()
    set_thread_limit()
    from search.cli.app import run_app

    run_app()
