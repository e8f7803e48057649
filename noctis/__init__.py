"""The shared kernel of Noctis; imports no other package of the platform."""
