"""The admin's command line, ``noctis``."""
