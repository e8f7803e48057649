"""Drift: whether what a model is given, and what it tells, is still what it was trained on."""
