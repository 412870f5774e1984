"""The command line: arguments to settings, results to tables."""
