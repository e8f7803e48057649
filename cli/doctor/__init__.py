"""``noctis doctor``: what is wrong with a platform, what that means, and what to do about it.

A module for each topic; each has ``look(site)``, which returns findings and changes nothing.
"""
