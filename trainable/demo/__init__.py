"""The embedded demo corpus: synthetic speakers, sentences and recording sessions."""
