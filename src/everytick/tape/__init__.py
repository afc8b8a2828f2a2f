"""The source of truth: append-only segments of frames, durable before anything acts on them.

The parts, and the names the rest of the program uses:

- `settings.TapeSettings`: the limits, each with its reason.
- `block`, `segment`: frames <-> bytes, names and headers (pure; docs/TAPE_FORMAT.md).
- `scan`: walking a segment past damage; what was lost where.
- `recovery`: what a folder of segments really holds; torn tails.
- `writer.TapeWriter`: append, commit in groups, the durable watermark.
- `index`: where the blocks of a segment stand.
- `tail`: the newest groups in memory, shared by a writer and the readers beside it.
- `reader.TapeReader`: frames from any offset up to the watermark.
- `verify.verify`: every byte checked, every loss named.
- `trouble`: the named ways in which a disk can refuse.
"""
