"""The runner: does what callers ordered and what takes long, one thing at a time."""
