"""Google Cloud Storage (gcp-storage-emulator) in a process of its own on 127.0.0.1."""

from __future__ import annotations

import subprocess
import sys

# The emulator ignores `ifGenerationMatch=0`, so its handler of uploads is wrapped: a name that
# exists is answered with 412, as Google does. Requests come one after another, so this is atomic.
# The server ends with its standard input: also when the tests are killed.
_SERVER = """
import sys
from http import HTTPStatus
from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import buckets, objects

def insert(request, response, storage, *args, **kwargs):
    query = request.query
    if query.get("ifGenerationMatch") == ["0"] and "upload_id" not in query:
        meta = request.data.get("meta", request.data)
        name = query["name"][0] if "name" in query else meta["name"]
        try:
            storage.get_file_obj(request.params["bucket_name"], name)
        except NotFound:
            pass
        else:
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": 412, "message": "conditionNotMet"}})
            return None
    return objects.insert(request, response, storage, *args, **kwargs)

for _, handlers in server.HANDLERS:
    for method, handler in handlers.items():
        if handler is objects.insert:
            handlers[method] = insert
made = server.create_server("127.0.0.1", 0, in_memory=True)
made.start()
while made._api._httpd is None:
    pass
sys.stdout.write(f"{made._api._httpd.server_address[1]}\\n")
sys.stdout.flush()
for line in sys.stdin:
    buckets.create_bucket(line.strip(), made._storage)
    sys.stdout.write("created\\n")
    sys.stdout.flush()
made.stop()
"""


class GoogleStore:
    """A running server of Google Cloud Storage.

    Attributes:
        environment: the variables with which clients find it.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._buckets = 0
        self.environment = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{int(self._read_line())}"}

    def create_bucket(self) -> str:
        """Create an empty bucket and return its name."""
        assert self._process.stdin is not None
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        assert self._read_line() == "created"
        return name

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
