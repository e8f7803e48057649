"""The load test: one platform, real devices, a verdict for each promise."""
