"""The load that an operator puts the platform under: bounded, measured, and cleaned up."""
