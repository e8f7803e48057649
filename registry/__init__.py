"""Models on disk: immutable versions, their manifests, and the aliases that point at them."""
