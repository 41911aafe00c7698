"""Pictures as people send them, of every kind that docs/images.md names, each digit's made by one seed.

stencils ── kinds: light, surroundings, files ──> bytes of a file
"""
