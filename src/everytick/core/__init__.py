"""The verbs: pure functions and small state machines. Data in, data out; no I/O, no clock, no log."""
