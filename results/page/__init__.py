"""The HTML page of a run: its data, sections, charts and template.

May import: spaces.files, models, results.analysis, results.audit, results.figures,
results.journal, results.records, results.tables, results.terminal.
"""
