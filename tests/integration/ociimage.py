# SPDX-License-Identifier: GPL-3.0-or-later
"""OCI images made by hand, hostile ones too, and a registry on loopback to have them fetched from."""

import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

BUSYBOX = Path("/bin/busybox")
PROGRAMS = ("skopeo", "umoci", "docker-registry", "busybox", "openssl")

# For the user "tester", password "secret"; of the kinds that a registry knows the quickest, as each request has the password.
HTPASSWD = "tester:$2y$04$kEJg27Nnr4LUPy2fSjkiQ.AF/5I9WHiGNh0NJNc51jlAcS4b/YAUO\n"
AUTH = "dGVzdGVyOnNlY3JldA=="  # "tester:secret" in base64

REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {directory}/blobs}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}", tls: {{certificate: {directory}/certificate, key: {directory}/key}}}}
"""
REGISTRY_AUTH = """\
auth:
  htpasswd: {{realm: tests, path: {directory}/htpasswd}}
"""


def missing() -> list[str]:
    """The programs for these tests that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]


class Tar:
    """An archive in memory; nothing keeps it from being hostile."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644,
            uid: int = 0, gid: int = 0, link: str = "", device: tuple[int, int] = (0, 0),
            xattrs: dict[str, str] | None = None) -> "Tar":
        """Appends a member as it is."""
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, uid, gid, link
        info.size, info.mtime = len(data), 1700000000
        info.devmajor, info.devminor = device
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def copy(self, path: Path, name: str) -> "Tar":
        """Appends a file, directory or symlink as it is, owned by root."""
        info = self._tar.gettarinfo(path, name)
        info.uid = info.gid = 0
        with open(path, "rb") if info.isreg() else io.BytesIO() as file:
            self._tar.addfile(info, file)
        return self

    def directory(self, *names: str, mode: int = 0o755) -> "Tar":
        """Appends directories."""
        for name in names:
            self.add(name, kind=tarfile.DIRTYPE, mode=mode)
        return self

    def symlink(self, name: str, target: str) -> "Tar":
        """Appends a symlink."""
        return self.add(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)

    def hardlink(self, name: str, target: str, mode: int = 0o644) -> "Tar":
        """Appends a hard link."""
        return self.add(name, kind=tarfile.LNKTYPE, link=target, mode=mode)

    def bytes(self) -> bytes:
        """The whole archive."""
        self._tar.close()
        return self._buffer.getvalue()


def busybox_tar(program: bytes | None = None) -> Tar:
    """The beginning of an image without bash, systemd or anything else: busybox and a few links to it. A test that runs none of
    them saves time with a small @program in place of busybox."""
    tar = Tar().directory("bin", "etc", "dir", "opaque").directory("tmp", mode=0o1777)
    tar.add("bin/busybox", BUSYBOX.read_bytes() if program is None else program, mode=0o755)
    for name in ("sh", "cat", "id", "pwd", "env", "ls", "echo", "sleep", "mkdir", "touch", "true"):
        tar.hardlink("bin/" + name, "bin/busybox", mode=0o755)
    tar.add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1000::/home/builder:/bin/sh\n")
    tar.add("etc/group", b"root:x:0:\nbuilder:x:1000:\n")
    tar.add("dir/gone", b"gone").add("dir/stays", b"stays").add("opaque/gone", b"gone")
    return tar


def busybox_root(where: Path) -> None:
    """Makes a tree of busybox with all its applets, as small images have it: no bash, no git, no certificates."""
    for name in ("bin", "usr/bin", "etc", "root", "tmp", "var/tmp", "dev", "proc", "run", "sys"):
        (where / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (where / name).chmod(0o1777)
    shutil.copy2(BUSYBOX, where / "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(applets) - {"busybox", "bash"}:
        (where / "bin" / name).symlink_to("busybox")
    (where / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1000::/home/builder:/bin/sh\n")
    (where / "etc/group").write_text("root:x:0:\nbuilder:x:1000:\n")


def second_layer() -> Tar:
    """Removes of busybox_tar() by whiteouts, replaces, adds."""
    tar = Tar().directory("dir", "opaque").add("dir/.wh.gone").add("opaque/.wh..wh..opq").add("opaque/new", b"new")
    tar.add("etc/release", b"two\n", uid=1000, gid=1000)
    tar.add("bin/set-user-id", b"#!/bin/sh\n", mode=0o4755)
    tar.add("first", b"linked").hardlink("second", "first")
    return tar


def write_layout(directory: Path, layers: Iterable[bytes], config: dict[str, Any] | None = None) -> str:
    """Makes an OCI layout with one image, tag "image"; returns its digest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": "sha256:" + digest, "size": len(data)}

    layers = list(layers)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    described = {"architecture": architecture, "os": "linux", "config": config or {}, "history": [], "rootfs":
                 {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(described).encode(), "config.v1+json"),
                "layers": [blob(gzip.compress(layer, 1, mtime=0), "layer.v1.tar+gzip") for layer in layers]}
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return entry["digest"]


def busybox_layout(directory: Path, more: Callable[[Tar], Any] | None = None, **config: Any) -> str:
    """A layout of both layers, with changes by @more in a third; returns its digest."""
    layers = [busybox_tar().bytes(), second_layer().bytes()]
    if more:
        tar = Tar()
        more(tar)
        layers.append(tar.bytes())
    return write_layout(directory, layers, config)


class Registry:
    """A docker-registry of the test's own, with a certificate of its own."""

    def __init__(self, directory: Path, password: bool = False):
        self.directory, self.password = directory, password
        # Nobody else gets a port that is bound, but the registry, which sets the same option, may listen at it.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port = self._holder.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "htpasswd").write_text(HTPASSWD)
        config = REGISTRY_CONFIG + (REGISTRY_AUTH if password else "")
        (directory / "config.yml").write_text(config.format(directory=directory, port=self.port))
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-subj", "/CN=tests", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "30",
                        "-keyout", directory / "key", "-out", directory / "certificate"],
                       check=True, capture_output=True)
        (directory / "auth.json").write_text(json.dumps({"auths": {self.host: {"auth": AUTH}} if password else {}}))
        self.log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with open(self.log, "ab") as log:
            # Variables that begin so change its configuration; skopeo has one that does.
            clean = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
            self._process = subprocess.Popen(["docker-registry", "serve", self.directory / "config.yml"], env=clean,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, self.log.read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        """Fine when it does not run."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stops it for good."""
        self.stop()
        self._holder.close()

    def environment(self, credentials: bool = True) -> dict[str, str]:
        """What makes skopeo talk to it."""
        out = {"SSL_CERT_FILE": str(self.directory / "certificate"), "no_proxy": "127.0.0.1",
               "REGISTRY_AUTH_FILE": str(self.directory / "auth.json")}
        if not credentials:
            (self.directory / "none.json").write_text('{"auths": {}}')
            out["REGISTRY_AUTH_FILE"] = str(self.directory / "none.json")
        return out

    def count(self, text: str) -> int:
        """How many requests there were whose line in the log has @text."""
        return sum(text in line for line in self.log.read_text(errors="replace").splitlines())

    def push(self, layout: Path, name: str) -> str:
        """Copies image "image" of a layout to the registry; returns its reference, without a transport."""
        subprocess.run(["skopeo", "copy", "--quiet", f"oci:{layout}:image", f"docker://{self.host}/{name}"],
                       env={**os.environ, **self.environment()}, check=True, capture_output=True)
        return f"{self.host}/{name}"


@contextmanager
def registry(directory: Path, password: bool = False) -> Iterator[Registry]:
    """A registry as long as the block lasts."""
    running = Registry(directory, password)
    try:
        running.start()
        yield running
    finally:
        running.close()
