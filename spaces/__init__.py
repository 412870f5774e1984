"""Search spaces and configuration files; knows no other package."""
