"""Views for the terminal: tables, one trial, sparklines, quoting."""
