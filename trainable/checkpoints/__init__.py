"""Model files and checkpoint folders: written, verified, loaded."""
