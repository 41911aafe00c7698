"""Everything that runs beside the archive: the service and its gateway, their clients, tests from outside, training.

commands ── what `scripts/` starts: arguments, messages, exit codes
   │
faults, benchmark, loadtest, training, status ── what is done with a service, or for one
   │
client, gateway, service ── the service itself, as processes and as its clients see it
   │
contract ── what any deployment must do, for whoever looks from outside
   │
daemon, machine, markdown, ports, project, waiting ── what several of them need

An arrow runs downwards only; pyproject.toml has the same list, and scripts/lint holds the imports to it.
"""
