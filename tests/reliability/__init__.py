"""Flat modules, as those of the performance tests: pytest and mypy have this folder on their path."""
