"""What a search would cost and bring: earlier curves, fitted, played on a simulated clock.

May import: spaces, trainable.config, results.analysis, results.audit, results.figures,
results.page, search.config, search.guided, search.loop, search.simulation, search.students,
search.suggest.
"""
