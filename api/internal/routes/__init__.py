"""The routes of ``/internal``, a module for each noun."""
