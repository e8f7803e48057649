"""Training and evaluation: nights through the firmware, features, trees, figures, a model."""
