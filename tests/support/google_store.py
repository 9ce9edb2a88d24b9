"""Google Cloud Storage (gcp-storage-emulator) in a process of its own on 127.0.0.1."""

from __future__ import annotations

from tests.support.server_process import ServerProcess

# The emulator ignores `ifGenerationMatch=0`, so its handler of uploads is wrapped: a name that
# exists is answered with 412, as Google does. Requests come one after another, so this is atomic.
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


class GoogleStore(ServerProcess):
    """A running server of Google Cloud Storage.

    Attributes:
        environment: the variables with which clients find it.
    """

    def __init__(self) -> None:
        super().__init__(_SERVER)
        self.environment = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self.port}"}

    def create_bucket(self) -> str:
        """Create an empty bucket and return its name."""
        name = self.next_bucket()
        self.write_line(name)
        assert self.read_line() == "created"
        return name
