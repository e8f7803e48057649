"""The ingestor: what devices publish is stored, and acknowledged only after the commit."""
