"""Where the ledger may be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from captoolkit.dispatch.ledger import Ledger
from captoolkit.dispatch.ledger_place import (
    default_path,
    file_system_of,
    refuse_network_file_system,
)
from captoolkit.errors import OutputError

LINE = (
    "29 1 {device} / /mnt/with\\040space rw,relatime shared:1 - {kind} server:/export rw,vers=4\n"
)
OTHER = "22 1 0:99 / /sys rw - sysfs sysfs rw\n"

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux lists its mounts there"
)


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A list of mounts, to be written."""
    return tmp_path / "mountinfo"


def mount(mounts: Path, kind: str) -> None:
    """List the file system of the temporary folder with a type."""
    device = mounts.parent.stat().st_dev
    line = LINE.format(device=f"{os.major(device)}:{os.minor(device)}", kind=kind)
    mounts.write_text(OTHER + line, encoding="utf-8")


@linux_only
@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "lustre", "fuse.sshfs", "fuse.rclone"]
)
def test_a_network_file_system_is_refused(mounts: Path, tmp_path: Path, kind: str) -> None:
    """The error is one line that names the option; nothing is created."""
    mount(mounts, kind)
    path = tmp_path / "new" / "folder" / "ledger.sqlite3"
    with pytest.raises(OutputError, match=r"is on a network file system \(.*`ledger`") as caught:
        refuse_network_file_system(path, mounts=mounts)
    assert kind in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not path.parent.exists()


@linux_only
@pytest.mark.parametrize("kind", ["ext4", "btrfs", "overlay", "tmpfs", "fuse.ntfs-3g", "virtiofs"])
def test_a_local_file_system_is_accepted(mounts: Path, tmp_path: Path, kind: str) -> None:
    """So are file systems in user space that are not on a network."""
    mount(mounts, kind)
    refuse_network_file_system(tmp_path / "ledger.sqlite3", mounts=mounts)


@linux_only
def test_a_link_leads_to_its_file_system(mounts: Path, tmp_path: Path) -> None:
    """The file system of the file counts, and not that of a link to it."""
    mount(mounts, "nfs")
    link = Path("/dev/shm") / f"captoolkit-{os.getpid()}"
    if not link.parent.is_dir() or link.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    link.symlink_to(tmp_path)
    try:
        with pytest.raises(OutputError, match="network file system"):
            refuse_network_file_system(link / "ledger.sqlite3", mounts=mounts)
    finally:
        link.unlink()


def test_an_unknown_file_system_is_accepted(tmp_path: Path, mounts: Path) -> None:
    """A device that is not listed, a line that is no mount, a system without the list."""
    assert file_system_of("0:1", mounts) == ""
    mounts.write_text(OTHER + "no mount\n", encoding="utf-8")
    assert file_system_of("0:1", mounts) == ""
    assert file_system_of("0:99", mounts) == "sysfs"
    refuse_network_file_system(tmp_path / "ledger.sqlite3", mounts=mounts)


def test_a_ledger_on_this_machine_opens(tmp_path: Path) -> None:
    """The real list of mounts has a local file system here."""
    Ledger(tmp_path / "ledger.sqlite3").close()


def test_the_environment_names_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the variable it is in the user's cache folder."""
    monkeypatch.setenv("CAPTOOLKIT_LEDGER", str(tmp_path / "mine"))
    assert default_path() == tmp_path / "mine"
    monkeypatch.delenv("CAPTOOLKIT_LEDGER")
    assert default_path().name == "ledger.sqlite3"
