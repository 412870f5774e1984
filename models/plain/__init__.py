"""The networks in PyTorch's own operators, waveform in, for programs that do not have Veer.

Each family's file is copied into one file with all that it uses, also of `models`. Only what
has a fused form there is written again here. Constants named as settings of the family are
filled in.

May import: models.
"""
