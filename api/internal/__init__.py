"""``/internal``: how the platform fares and what it bears, for its operators alone."""
