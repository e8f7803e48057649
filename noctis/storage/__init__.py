"""Everything that talks SQL: tables, transactions, and one module for each noun.

A function that serves a tenant takes the tenant's name first, then the connection. None of
them commits: ``engine.transaction`` does, at the boundary of the request or task.
"""
