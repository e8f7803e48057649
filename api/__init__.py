"""The REST facade: who asks, what is stored of a tenant, and whether the platform is well."""
