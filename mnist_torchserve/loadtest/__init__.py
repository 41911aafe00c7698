"""Load tests: profiles and their objectives, users, what a run records, the verdict on it, the history of runs.

tests/performancetests/ ── the Locust files: who asks what, and how often
   │
users, payloads ── what all users share    figures, tally ── what is counted    recorder ── written down, and judged
   │
objectives ── verdict                      all of this runs inside of Locust, and needs nothing but Locust
   │
run, footprint, history, charts ── around Locust, for scripts/loadtest
"""
