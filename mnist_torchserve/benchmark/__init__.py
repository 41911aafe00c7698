"""How fast the service is, compared with others on the same machine in the same run."""
