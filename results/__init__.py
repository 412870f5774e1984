"""What a run wrote, read back: journal, tables, benchmark, export."""
