"""The tables of a run: columns, rows, formats, queries, and one run at one moment (`RunView`)."""
