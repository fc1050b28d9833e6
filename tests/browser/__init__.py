"""Marks the folder as one package, so that its demo and its browser end with its last test, not with the run."""
