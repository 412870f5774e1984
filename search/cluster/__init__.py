"""Ray's nodes: connection, token, resources, signals, stores built in parallel."""
