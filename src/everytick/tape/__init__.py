"""The source of truth: append-only segments of frames, durable before anything acts on them.

The parts, and the names the rest of the program uses:

- `block`: frames <-> one checksummed, compressed block (pure).
- `segment`: names and headers of segment files (pure).
- `recovery`: what a folder of segments really holds; torn tails, damage.
- `writer.TapeWriter`: append, commit in groups, the durable watermark.
- `reader.TapeReader`: frames from any offset up to the watermark.
"""
