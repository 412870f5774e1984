"""What a run delivers: best weights, model card, exported folder, CPU benchmark.

May import: models, spaces.files, trainable, results.analysis, results.journal, results.tables,
results.terminal.
"""
