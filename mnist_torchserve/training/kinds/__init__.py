"""Makes pictures as people send them, of every kind that docs/images.md names, from one seed.

stencils ── kinds: light, surroundings, files ──> bytes of a file
"""
