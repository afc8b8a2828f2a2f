"""How each venue speaks, sans I/O: one module a venue, all with the same few functions."""
