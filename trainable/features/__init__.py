"""Log-mels of a corpus: which store is needed, how it is built, batches read from it."""
