"""What scores mean: log-likelihood ratios, thresholds with their error rates, score norms.

May import: spaces.files, trainable.features, trainable.list_formats, trainable.lists,
trainable.verification.
"""
