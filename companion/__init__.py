"""What people see besides the live stage: nights, and the errands of the platform's admin."""
