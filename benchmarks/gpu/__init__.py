"""Everything that a GPU has to say about this program, measured by one command: `python -m benchmarks.gpu`."""
