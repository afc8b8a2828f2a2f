"""Archives of files: requests say who pays, and a file that is not there is told from a bucket that is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from everytick.errors import Retryable
from everytick.host.archives import BucketArchive

pytest.importorskip("obstore", reason="obstore (the extra `archive`) is not installed")


class _Bucket(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("x-amz-request-payer")))
        status = 404 if "missing" in self.path else 403 if "forbidden" in self.path else 200
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 20 Nov 2025 10:00:00 GMT")
        self.end_headers()
        self.wfile.write(b"bytes")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def bucket() -> Iterator[BucketArchive]:
    _Bucket.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield BucketArchive(
        "s3://a-bucket",
        endpoint=f"http://127.0.0.1:{server.server_port}",
        region="us-east-1",
        access_key_id="nobody",
        secret_access_key="nothing",
        client_options={"allow_http": True},
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_request_says_that_the_reader_pays(bucket: BucketArchive) -> None:
    assert b"".join(bucket.read("node_fills/hourly/20250701/1.lz4")) == b"bytes"
    assert _Bucket.asked == [("/a-bucket/node_fills/hourly/20250701/1.lz4", "requester")]


def test_a_file_that_is_not_there_is_no_failure_of_the_bucket(bucket: BucketArchive) -> None:
    with pytest.raises(FileNotFoundError):
        list(bucket.read("missing"))
    with pytest.raises(Retryable, match="a-bucket/forbidden"):
        list(bucket.read("forbidden"))
