from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from captoolkit.errors import InputError, OutputError, SourceNotFoundError, UsageError
from captoolkit.jobs.stores.base_store import Store
from captoolkit.jobs.stores.object_store import forget_file_systems, open_store
from tests.support.google_store import GoogleStore
from tests.support.object_store import FaultyProxy, ObjectStore

KINDS = ("folder", "s3", "gs", "memory")
ODD = "a b+c/100% ü#?.txt"


@pytest.fixture(params=KINDS)
def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3_server: ObjectStore,
    google_server: GoogleStore | None,
) -> Iterator[Store]:
    """An empty store of each kind."""
    url = {"folder": str(tmp_path / "out"), "memory": f"memory://{tmp_path.name}"}
    if request.param == "s3":
        yield open_store(f"{request.getfixturevalue('s3')}/some/prefix")
    elif request.param == "gs":
        yield open_store(f"{request.getfixturevalue('google')}/some/prefix")
    else:
        yield open_store(url[request.param])
    if request.param == "memory":
        forget_file_systems()


def test_a_new_file_is_written_once(store: Store) -> None:
    """`write_new` creates a file and never replaces one."""
    assert store.write_new("rows/a.jsonl", b"first")
    assert not store.write_new("rows/a.jsonl", b"second")
    assert store.read("rows/a.jsonl") == b"first"


def test_a_local_file_is_written_once(store: Store, tmp_path: Path) -> None:
    """`write_new` takes a local file in place of bytes."""
    for number, is_first in ((1, True), (2, False)):
        path = tmp_path / f"made-{number}"
        path.write_bytes(bytes([number]))
        assert store.write_new("a.wav", path) is is_first
    assert store.read("a.wav") == b"\1"


def test_write_replaces_a_file(store: Store, tmp_path: Path) -> None:
    """`write` replaces, from bytes and from a local file."""
    store.write("a.txt", b"first")
    store.write("a.txt", b"second")
    assert store.read("a.txt") == b"second"
    (tmp_path / "made").write_bytes(b"third")
    store.write("a.txt", tmp_path / "made")
    assert store.read("a.txt") == b"third"


def test_names_keep_every_character(store: Store, tmp_path: Path) -> None:
    """A name with spaces, percent signs and accents comes back from the listing."""
    store.write(ODD, b"1")
    assert [file.name for file in store.list()] == [ODD]
    assert store.read(ODD) == b"1"
    store.fetch(ODD, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"1"


def test_a_listing_names_the_files_below_a_prefix_and_nothing_else(store: Store) -> None:
    """The prefix is one of names, sizes are stated, and the version is that of `stat`."""
    for name in ("talks/b.wav", "talks/a.wav", "talks/deep/c.wav", "talk.txt", "other/d.wav"):
        store.write(name, name.encode())
    assert [file.name for file in store.list("talks/") if "/deep/" not in file.name] == [
        "talks/a.wav",
        "talks/b.wav",
    ]
    assert {file.name for file in store.list("talk")} == {
        "talk.txt",
        "talks/a.wav",
        "talks/b.wav",
        "talks/deep/c.wav",
    }
    assert list(store.list("nothing/")) == []
    for file in store.list():
        assert file == store.stat(file.name)
        assert file.size_bytes == len(file.name)
        assert file.version


def test_a_changed_file_has_another_version(store: Store) -> None:
    """The version of a file differs after its bytes have changed."""
    store.write("a.txt", b"first")
    before = store.stat("a.txt")
    store.write("a.txt", b"later")
    assert store.stat("a.txt").version != before.version


def test_a_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    """Reading, fetching and examining a file that does not exist raise the same error."""
    assert not store.exists("none.wav")
    for act in (store.read, store.stat, lambda name: store.fetch(name, tmp_path / "copy")):
        with pytest.raises(SourceNotFoundError, match=r"none\.wav: there is no such file"):
            act("none.wav")


def test_a_file_is_removed(store: Store) -> None:
    """`remove` removes a file, and does nothing if there is none."""
    store.write("a.txt", b"1")
    store.remove("a.txt")
    store.remove("a.txt")
    assert not store.exists("a.txt")


def test_many_files_are_read_in_order(store: Store) -> None:
    """`read_many` reads ahead and keeps the order."""
    names = [f"{number:03}" for number in range(100)]
    for name in names:
        store.write(name, name.encode())
    assert [(name, data.decode()) for name, data in store.read_many(iter(names))] == [
        (name, name) for name in names
    ]


def test_a_store_can_be_pickled_and_holds_no_key(store: Store) -> None:
    """A copy in another process reaches the same files; the pickle holds the URL alone."""
    store.write("a.txt", b"1")
    data = pickle.dumps(store)
    assert pickle.loads(data).read("a.txt") == b"1"
    assert b"test" not in data.replace(b"test_store", b"").replace(store.url.encode(), b"")


def test_of_many_writers_one_creates_the_file(store: Store) -> None:
    """Threads that create the same name at once: one of them succeeds."""
    results: list[bool] = []
    barrier = threading.Barrier(8)

    def create(number: int) -> None:
        barrier.wait()
        results.append(store.write_new("job.json", b"%d" % number))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]


def test_a_folder_holds_no_staging_files(tmp_path: Path) -> None:
    """Nothing but the files remains in a folder, and a name outside it is not possible."""
    store = open_store(str(tmp_path / "out"))
    store.write_new("a/b.txt", b"1")
    store.write_new("a/b.txt", b"2")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["a", "b.txt"]


def test_a_folder_needs_no_library() -> None:
    """Folders work where fsspec is not installed, and a bucket says what to install."""
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from captoolkit.jobs.stores.object_store import open_store\n"
        "open_store('somewhere')\n"
        "try:\n    open_store('s3://bucket')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'captoolkit[s3]'" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("url", ["foo://bucket", "http://host/folder", "abfs://container", ""])
def test_a_url_that_is_no_store_is_refused(url: str) -> None:
    """An unknown scheme, a web address, a missing library and no name are usage errors."""
    with pytest.raises(UsageError):
        open_store(url)


# ----------------------------------------------------------------------------- faults of S3


def test_a_missing_bucket_is_named(s3: str) -> None:
    """Reading and writing name the bucket that does not exist."""
    store = open_store("s3://no-such-bucket")
    with pytest.raises(OutputError, match="no-such-bucket/a cannot be written: there is no such b"):
        store.write("a", b"")
    with pytest.raises(SourceNotFoundError, match="there is no such bucket"):
        list(store.list())


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_missing_permission_is_named(s3: str, faulty: FaultyProxy, method: str) -> None:
    """A key without a permission is one line, at once."""
    store = open_store(s3)
    faulty.denies = method
    with pytest.raises((OutputError, InputError), match=r"a\.txt cannot be .*: permission is"):
        store.write("a.txt", b"1") if method == "PUT" else store.read("a.txt")
    assert len(faulty.requests) == 1


def test_a_busy_store_is_asked_again(s3: str, faulty: FaultyProxy) -> None:
    """One 503 is retried, and the file is written once."""
    store = open_store(s3)
    faulty.faults = [(503, "SlowDown")]
    assert store.write_new("a.txt", b"1")
    assert len(faulty.requests) == 2


def test_a_write_with_a_lost_answer_has_succeeded(s3: str, faulty: FaultyProxy) -> None:
    """If the answer to a create-only write is lost, the retry finds its own file."""
    store = open_store(s3)
    faulty.loses_answers = 1
    assert store.write_new("a.txt", b"1")
    assert not store.write_new("a.txt", b"2")


@pytest.mark.slow
def test_a_store_that_stays_busy_is_one_line(s3: str, faulty: FaultyProxy) -> None:
    """Retries end, and the error says what to do."""
    store = open_store(s3)
    faulty.faults = [(503, "SlowDown")] * 1000
    with pytest.raises(OutputError, match="busy or fails, also after retries; run the same comm"):
        store.write("a.txt", b"1")
    assert len(faulty.requests) < 30


def test_a_key_that_is_missing_is_named(
    s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without credentials the error says so, and names the variable."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    forget_file_systems()
    with pytest.raises(InputError, match=r"no credentials were found; set .*AWS_ACCESS_KEY_ID"):
        open_store(s3).read("a.txt")


@pytest.mark.parametrize("name", ["../a.txt", "b/../../a.txt", "/a.txt"])
def test_a_name_outside_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    """No file outside the folder is written or removed."""
    (tmp_path / "a.txt").write_text("private")
    store = open_store(str(tmp_path / "out"))
    for call in (store.remove, lambda each: store.write(each, b"")):
        with pytest.raises(InputError, match="leaves"):
            call(name)
    assert (tmp_path / "a.txt").read_text() == "private"
