"""Prepare an upload: bytes in, a ZIP of segments out.

In Flask, a view returns the result unchanged:

    @app.post("/prepare")
    def prepare():
        return prepare_upload(request.get_data())
"""

import io
import zipfile

import captoolkit


def prepare_upload(upload: bytes) -> tuple[bytes, int]:
    """Return the segments of an upload as a ZIP, or the reason why not, with status 422."""
    body = io.BytesIO()
    try:
        with (
            captoolkit.prepare(upload, max_duration="4h") as prepared,
            zipfile.ZipFile(body, "w") as archive,
        ):
            for segment in prepared:
                archive.writestr(segment.file, segment.read_bytes())
    except captoolkit.InputError as error:
        return str(error).encode(), 422
    return body.getvalue(), 200


if __name__ == "__main__":
    with open("fixtures/two-languages.mp4", "rb") as upload:
        body, status = prepare_upload(upload.read())
    print(status, len(body), prepare_upload(b"no sound"))
