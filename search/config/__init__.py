"""The settings of a search and where they are read from."""
