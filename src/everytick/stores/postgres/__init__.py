"""A store on a PostgreSQL server, 15 to 18: written by one process, read by any. Needs the extra `postgres`."""

from everytick.stores.postgres.address import Address
from everytick.stores.postgres.reader import PostgresReader
from everytick.stores.postgres.writer import PostgresStore

__all__ = ["Address", "PostgresReader", "PostgresStore"]
