"""One script of faults, run against everytick and against cryptofeed on a real PostgreSQL: `python -m bench.faults`."""
