"""Downloads that break and go on, archives that are not what they should be, paths that leave the folder."""

import hashlib
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_modules.errors import DataError
from data_modules.prepare.archives import prepare
from data_modules.prepare.download import download, file_sha256
from data_modules.prepare.unpack import unpack

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; every answer ends after `limit` bytes of it."""

    content = CONTENT
    limit: int | None = None
    ranges = True
    status: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if server.status is not None or start >= len(server.content):
            self.send_error(server.status or 416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.limit])

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_download(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.zip"
    for _ in range(2):
        download(f"{server.url}/a.zip", path, SHA256, pause=0)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None]  # the second time it is there
    assert [file.name for file in path.parent.iterdir()] == ["a.zip"]


def test_a_connection_that_breaks_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.limit = 100_000
    download(f"{server.url}/a.zip", tmp_path / "a.zip", SHA256, attempts=1, pause=0)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_a_later_command_goes_on(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:250_000])
    download(f"{server.url}/a.zip", tmp_path / "a.zip", SHA256, pause=0)
    assert server.asked == ["bytes=250000-"]
    (tmp_path / "b.zip.part").write_bytes(CONTENT)  # killed before the last step
    download(f"{server.url}/b.zip", tmp_path / "b.zip", SHA256, pause=0)
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    download(f"{server.url}/a.zip", tmp_path / "a.zip", SHA256, pause=0)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_another_file_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"expected a file of SHA-256 {'0' * 64}, found {SHA256}"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", "0" * 64, pause=0)
    assert list(tmp_path.iterdir()) == []


def test_refusals_and_silence(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match="answered 404"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", SHA256, pause=0)
    assert len(server.asked) == 1
    server.status = 503
    with pytest.raises(DataError, match="run the command again"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", SHA256, attempts=3, pause=0)
    assert len(server.asked) == 4
    with pytest.raises(DataError, match="the connection failed"):
        download("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", SHA256, attempts=2, pause=0)


def zip_of(path: Path, files: dict[str, bytes], mode: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0 if mode is None else mode << 16
            archive.writestr(info, content)
    return path


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_unpacking(tmp_path: Path) -> None:
    files = {"set/images/a.jpg": b"a", "set/b.txt": b"bb", "__MACOSX/set/._b.txt": b"x", "other/c": b"c"}
    one, other = tmp_path / "one", tmp_path / "other"
    assert unpack(zip_of(tmp_path / "a.zip", files), one, ("set",)) == 2
    members = [(tarfile.TarInfo(name), content) for name, content in files.items()]
    assert unpack(tar_of(tmp_path / "a.tar.gz", *members), other, ("set",)) == 2
    assert tree(one) == tree(other) == {"set/images/a.jpg": b"a", "set/b.txt": b"bb"}
    (one / "set" / "b.txt").write_bytes(b"xx")
    (one / "set" / "images" / "a.jpg").unlink()
    unpack(tmp_path / "a.zip", one, ("set",))
    assert tree(one) == tree(other)


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "set/../../out", "C:/out", "..\\out", "set\\..\\..\\out"])
def test_paths_that_leave_are_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    with pytest.raises(DataError, match="a path that leaves the folder"):
        unpack(zip_of(tmp_path / "a.zip", {"good": b"", name: b"x"}), root)
    with pytest.raises(DataError, match="a path that leaves the folder"):
        unpack(tar_of(tmp_path / "a.tar", (tarfile.TarInfo("good"), b""), (tarfile.TarInfo(name), b"x")), root)
    assert not root.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "../outside"
    with pytest.raises(DataError, match="a link or a special file"):
        unpack(tar_of(tmp_path / "a.tar", (info, b"")), tmp_path / "root")


def test_links_in_a_zip_and_on_disk_are_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"link": b"../outside"}, stat.S_IFLNK | 0o777)
    with pytest.raises(DataError, match="a link or a special file"):
        unpack(archive, tmp_path / "root")
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "set").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="a link that leaves it"):
        unpack(zip_of(tmp_path / "b.zip", {"set/a": b"a"}), tmp_path / "root")
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match="found neither"):
        unpack(tmp_path / "a.zip", tmp_path / "root")
    whole = zip_of(tmp_path / "b.zip", {"a": b"x" * 1000})
    content = bytearray(whole.read_bytes())
    content[200] ^= 1
    whole.write_bytes(content)
    with pytest.raises(DataError, match="expected a whole archive"):
        unpack(whole, tmp_path / "root")
    assert tree(tmp_path / "root").get("a") is None


def archives(server: Server, path: Path, **more: Any) -> dict[str, dict[str, Any]]:
    return {"set": {"url": f"{server.url}/{path.name}", "sha256": file_sha256(path), "provides": "set", **more}}


def test_prepare_from_the_network(server: Server, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "set.zip", {"set/a": CONTENT})
    server.content, server.limit, root = archive.read_bytes(), 120_000, tmp_path / "root"
    (done,) = prepare(root, archives(server, archive))
    assert done == {"archive": "set", "source": f"{server.url}/set.zip", "files": 1}
    assert (root / "set" / "a").read_bytes() == CONTENT
    assert not (root / ".downloads" / "set.zip").exists()
    requests = len(server.asked)
    assert prepare(root, archives(server, archive)) == [{"archive": "set", "source": "there already"}]
    assert len(server.asked) == requests


def test_prepare_from_local_archives(server: Server, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "set.zip", {"set/a": b"a"})
    for local in (tmp_path, archive, [archive]):
        root = tmp_path / f"root{type(local)}"
        prepare(root, archives(server, archive), local=local)
        assert (root / "set" / "a").read_bytes() == b"a"
        assert archive.is_file()
        (root / "set" / "a").unlink()
        (root / ".prepared.json").write_text('{"set": null}')  # killed while it unpacked
        prepare(root, archives(server, archive), local=local)
        assert (root / "set" / "a").is_file()
        (root / ".prepared.json").unlink()
    with pytest.raises(DataError, match="expected SHA-256 00, found"):
        prepare(tmp_path / "other", archives(server, archive, sha256="00"), local=tmp_path)
    prepare(tmp_path / "other", archives(server, archive, sha256=None), local=tmp_path)
    assert (tmp_path / "other" / "set" / "a").is_file()
    assert server.asked == []


def test_prepare_leaves_alone_what_was_put_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "root" / "set").mkdir(parents=True)
    archive = zip_of(tmp_path / "set.zip", {"set/a": b"a"})
    assert prepare(tmp_path / "root", archives(server, archive))[0]["source"] == "there already"
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["set"]


def test_prepare_refuses(server: Server, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "set.zip", {"set/a": b"a"})
    with pytest.raises(DataError, match="expected a SHA-256"):
        prepare(tmp_path / "root", archives(server, archive, sha256=None))
    with pytest.raises(DataError, match=r"expected the archive set.zip among the local ones"):
        prepare(tmp_path / "root", archives(server, archive), local=[])
    with pytest.raises(DataError, match="found nothing there"):
        prepare(tmp_path / "root", archives(server, archive), local=tmp_path / "absent")
    with pytest.raises(DataError, match=r"data.root=DIR"):
        prepare(None, archives(server, archive))
