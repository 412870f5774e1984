"""A finished run looked at again: audit, reproduction, the test list."""
