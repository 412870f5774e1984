"""`python -m search.cli` is `veer`; `torchrun -m search.cli` starts it several times."""

from search.cli.entry import main

if __name__ == "__main__":
    main()
