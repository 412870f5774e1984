"""The one training loop and its users: search trials, single runs, full retraining.

May import: models, spaces.files, trainable.
"""
