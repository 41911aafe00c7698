"""Asking a service: files with digits, drawing in a terminal, comparing its answers with the weights here."""
