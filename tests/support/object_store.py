"""An S3 server (moto) in a process of its own on 127.0.0.1, and a proxy that lets it fail."""

from __future__ import annotations

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.server_process import ServerProcess

_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
sys.stdout.write(f"{server.get_host_and_port()[1]}\\n")
sys.stdout.flush()
sys.stdin.read()
"""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class ObjectStore(ServerProcess):
    """A running S3 server.

    Attributes:
        url: its address.
        environment: the variables with which S3 clients find it.
    """

    def __init__(self) -> None:
        super().__init__(_SERVER, ENVIRONMENT)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}

    def create_bucket(self) -> str:
        """Create an empty bucket and return its name."""
        name = self.next_bucket()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("PUT", f"/{name}")
            assert connection.getresponse().status == 200
        return name


class FaultyProxy:
    """A server that answers the next requests with an error, and forwards all others.

    Attributes:
        url: its address.
        requests: the methods and paths that it was sent.
        faults: the errors of the next requests: HTTP status and S3 code.
        denies: a method that is answered with 403 always.
        loses_answers: the number of next requests that are carried out and answered with 503.
    """

    def __init__(self, port: int) -> None:
        self.requests: list[str] = []
        self.faults: list[tuple[int, str]] = []
        self.denies = ""
        self.loses_answers = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.requests.append(f"{self.command} {self.path}")
                if self.command == proxy.denies:
                    self._fail(403, "AccessDenied")
                elif proxy.faults:
                    self._fail(*proxy.faults.pop(0))
                else:
                    self._exchange(body)

            def _exchange(self, body: bytes) -> None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                self.close_connection = True
                with contextlib.suppress(ConnectionError), contextlib.closing(connection):
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    if proxy.loses_answers:
                        proxy.loses_answers -= 1
                        self._fail(503, "SlowDown")
                        return
                    self._answer(answer.status, answer.getheaders(), answer.read())

            def _fail(self, status: int, code: str) -> None:
                text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
                self._answer(status, [("Content-Type", "application/xml")], text.encode())

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "connection", "date", "server"):
                        self.send_header(name, value)
                is_head = self.command == "HEAD"
                length = {name.lower(): value for name, value in headers}.get("content-length", "0")
                self.send_header("Content-Length", length if is_head else str(len(body)))
                self.end_headers()
                if not is_head:
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        for method in ("GET", "PUT", "HEAD", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._forward)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
