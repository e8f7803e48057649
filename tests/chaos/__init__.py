"""Faults drawn by a seed over a platform of real processes, and a checker that trusts none."""
