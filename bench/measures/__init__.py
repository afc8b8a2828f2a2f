"""One module per measurement: each starts its processes, takes its passes and returns rows."""
