"""Limits of the numbers in a journal, without Pydantic: the help of commands loads them."""

# The tables store whole numbers in 64 bits.
INT64_MAX = 2**63 - 1
# `veer reproduce` computes with the recorded number of threads, so an absurd one must not pass.
MOST_THREADS = 1024
