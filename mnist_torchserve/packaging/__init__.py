"""From anybody's trained network to the folder that an archive is built of.

source: a class in a file ─┐
checkpoint: its weights ───┴─> network ── probe ──> what it takes and gives ── export ──> folder ── service ──> NAME.mar
foreign_onnx: an ONNX file ────────────────┘
"""
