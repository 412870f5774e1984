"""What a process may use of its machine: devices, threads, memory, precision."""
