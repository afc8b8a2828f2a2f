"""Archives of files: a folder, or a bucket of object storage whose reader pays."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from everytick.errors import Refused, Retryable
from everytick.ports import Archive

PIECE_BYTES: Final = 4 * 1024 * 1024
S3: Final = "s3://"


class FolderArchive:
    """Files below a folder, under the same paths as in the venue's bucket."""

    def __init__(self, folder: Path) -> None:
        """Raises Refused where there is no such folder."""
        if not folder.is_dir():
            raise Refused(f"there is no folder {folder}", path="archive", value=str(folder))
        self._folder = folder
        self.where = str(folder)

    def read(self, name: str) -> Iterator[bytes]:
        """The file's bytes, in pieces. Raises FileNotFoundError, OSError."""
        with (self._folder / name).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


class BucketArchive:
    """Files of an S3 bucket, every request marked as paid by us. Credentials are found as AWS' own tools find them.

    `options` are the store's settings (endpoint, region), for a server that is not Amazon's.
    """

    def __init__(self, url: str, **options: Any) -> None:
        """Raises Refused where the library for it is not installed."""
        if importlib.util.find_spec("obstore") is None:
            raise Refused(
                "object storage needs obstore, which is not installed here",
                path="archive",
                value=url,
                suggestion="pip install 'everytick[archive]'",
            )
        # By name and only here: obstore is an extra, and a recorder without an archive need not load it.
        self._obstore: Any = importlib.import_module("obstore")
        stores: Any = importlib.import_module("obstore.store")
        # docs.aws.amazon.com, RequesterPaysBuckets (read 2026-11): a request without this mark is refused with 403.
        self._store = stores.from_url(url, request_payer=True, **options)
        self.where = url

    def read(self, name: str) -> Iterator[bytes]:
        """The object's bytes, in pieces. Raises FileNotFoundError, Retryable."""
        try:
            for piece in self._obstore.get(self._store, name).stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)
        except FileNotFoundError:
            raise
        except Exception as error:
            # The library's own errors share no base but Exception; each means that the bucket did not answer.
            raise Retryable(f"{self.where}/{name}: {type(error).__name__}: {error}") from error


def open_archive(where: str) -> Archive:
    """The archive at `where`: `s3://bucket` or a folder. Raises Refused."""
    return BucketArchive(where) if where.startswith(S3) else FolderArchive(Path(where))
