"""How quick the service is, beside others on the same machine in the same run: contestants, measuring, report."""
