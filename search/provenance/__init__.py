"""What a run came from (code, data, machine), and whether it may go on."""
