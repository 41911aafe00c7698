"""Faults that are inflicted on a service, the clients that use it meanwhile, and the record of every request."""
