"""A client: reads files with digits, draws in a terminal, compares a service's answers with the weights here."""
