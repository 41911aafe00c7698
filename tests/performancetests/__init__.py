"""A package, so that its test_model.py and the one above it can have the same name."""
