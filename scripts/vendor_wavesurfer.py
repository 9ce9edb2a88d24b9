"""Renew the copy of wavesurfer.js that every page carries inside itself.

    python scripts/vendor_wavesurfer.py           # fetch the pinned version with npm, write it
    python scripts/vendor_wavesurfer.py --check   # only say whether the copy is that version's

To take another version: put its number and its hash (`npm view wavesurfer.js@X dist.integrity`)
here, run this, then the tests in tests/timeline/test_page.py, and look at a page.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "wavesurfer.js"
VERSION = "8.0.1"
SHA512 = "h0OnRWSVTqIYLSw3/IVrBtsun/xw9L5u4FA3bjfSDTFMX/xswVWS1JwK4fFu3ulmxRUSHg8zQORl6zENG983eg=="
HOME = Path(__file__).resolve().parents[1] / "captoolkit/timeline/html/vendor"
FILES = {
    "package/dist/wavesurfer.min.js": "wavesurfer.min.js",
    "package/LICENSE": "LICENSE",
}
VERSION_FILE = "VERSION"


def fetch(folder: Path) -> Path:
    """Have npm fetch the package into `folder`; return the archive, proven to be the pinned one."""
    argv = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder), "--silent"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        raise SystemExit(f"error: {archive.name} is not what was pinned: its hash is {digest}")
    return archive


def contents(archive: Path) -> dict[str, bytes]:
    """Return the files that are kept, by the names they have here."""
    kept = {VERSION_FILE: f"{PACKAGE} {VERSION}\n".encode()}
    with tarfile.open(archive) as package:
        for inside, name in FILES.items():
            member = package.extractfile(inside)
            if member is None:
                raise SystemExit(f"error: {inside} is not in the package")
            kept[name] = member.read()
    return kept


def main() -> int:
    """Write the copy, or with --check compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it differs")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        kept = contents(fetch(Path(folder)))
    stale = [
        name
        for name, data in kept.items()
        if not (HOME / name).is_file() or (HOME / name).read_bytes() != data
    ]
    if not check:
        HOME.mkdir(parents=True, exist_ok=True)
        for name in stale:
            (HOME / name).write_bytes(kept[name])
    print(f"{PACKAGE} {VERSION}: {', '.join(stale) or 'nothing'} {'differs' if check else 'new'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
