"""Networks as graphs for other programs: front end and windows in operators that each of them has.

May import: models.
"""
