"""`make bench`: our speed beside a peer, or beside the machine's own limit, measured in the same run."""
