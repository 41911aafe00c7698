"""What is done to a service, the crowd that asks it meanwhile, and the account of every request."""
