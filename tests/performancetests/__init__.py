"""Load tests, and what makes the model cheap to serve."""
