"""Load tests: profiles with objectives, users, recording, the verdict, the history of runs.

tests/performancetests/ ── the Locust files: which users send what, and how often
   │
users, payloads ── shared by all users    figures, tally ── what is counted    recorder ── writes it down and judges it
   │
objectives ── verdict                     everything up to here runs inside Locust, and needs nothing but Locust
   │
run, footprint, history, charts ── around Locust, for scripts/loadtest
"""
