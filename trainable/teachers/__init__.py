"""Every kind of teacher: network, stored embeddings, plug-in process, stored targets."""
