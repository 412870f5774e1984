"""`python -m search` is the command `veer`; `torchrun -m search` starts it several times."""

from search.cli.entry import main

if __name__ == "__main__":
    main()
