"""Evaluation: nights and stored predictions against reference stages, models against models."""
