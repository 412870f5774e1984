"""What a process may use of its machine: devices, threads, memory, precision.

May import: spaces.files.
"""
