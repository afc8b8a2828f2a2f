"""From sockets to tape, and from tape to store."""
