"""Entry point of the `veer` command.

Imports nothing at the top: a process that multiprocessing spawns imports this file again, and
must not pay for Ray and Optuna.
"""


def main() -> None:
    """Run the command line."""
    from search.cli.app import main as run

    run()
