"""What a search promised against what full trainings gave.

May import: spaces.files, trainable.checkpoints, trainable.config, results.analysis,
results.compare, results.figures, results.journal, results.page, results.terminal.
"""
