# SPDX-License-Identifier: GPL-3.0-or-later
"""Git repositories served by git's own http-backend on loopback, with or without TLS from a private authority, and
beside it the large files of Git LFS: its batch API with the basic transfer, for downloads."""

import hashlib
import json
import os
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.com", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent"}


def git(*arguments: Any, cwd: Path | None = None) -> str:
    """Runs git without anybody's settings; returns what it prints."""
    done = subprocess.run(["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main",
                           *map(str, arguments)], cwd=cwd, check=True, capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], **IDENTITY})
    return done.stdout.strip()


LARGE_TYPE = "application/vnd.git-lfs+json"
LARGE_HEADER = "X-Of-The-Batch"


class Handler(BaseHTTPRequestHandler):
    """One request, by way of http-backend's CGI."""

    server: "GitServer"

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        size = int(self.headers.get("Content-Length") or 0)
        environment = {"PATH": os.environ["PATH"], **IDENTITY, "GIT_PROJECT_ROOT": str(self.server.directory),
                       "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                       "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(size),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        out = subprocess.run(["git", "http-backend"], input=self.rfile.read(size), env=environment, check=False,
                             capture_output=True).stdout  # it fails if somebody asks for what is not there
        head, _, body = out.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = [int(value.split()[0]) for key, value in fields if key == "Status"]
        self.send_response(status[0] if status else 200)
        for key, value in fields:
            if key not in ("Status", "Content-Length"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, status: int, body: bytes, kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer_batch(self) -> None:
        """Says where those large files are that a client asks for, and with which header they are to be had."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        objects = []
        for wanted in request["objects"]:
            found = (self.server.directory / "lfs" / wanted["oid"]).exists() and request["operation"] == "download"
            action = {"href": f"{self.server.url}/lfs/{wanted['oid']}", "header": {LARGE_HEADER: wanted["oid"][:8]}}
            objects.append({**wanted, "authenticated": True, **({"actions": {"download": action}} if found else {
                "error": {"code": 404, "message": "there is no such object"}})})
        self._send(200, json.dumps({"transfer": "basic", "objects": objects}).encode(), LARGE_TYPE)

    def _answer_large(self) -> None:
        oid = self.path.rpartition("/")[2]
        if self.headers.get(LARGE_HEADER) != oid[:8]:
            self._send(403, b"")
            return
        self.server.downloads.append(oid)
        self._send(200, (self.server.directory / "lfs" / oid).read_bytes())

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        """A page, a file of Git LFS, or what http-backend is for."""
        self.server.requests += 1
        if self.server.wanted and self.headers.get("Authorization") != self.server.wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path in self.server.pages:
            status, text = self.server.pages[self.path]
            if status == 302:
                self.send_response(302)
                self.send_header("Location", text)
                self.end_headers()
            else:
                self._send(status, text.encode())
        elif self.path.startswith("/lfs/"):
            self._answer_large()
        else:
            self._answer()

    def do_POST(self) -> None:  # pylint: disable=invalid-name
        """The batch API of Git LFS, or what http-backend is for."""
        if self.path.endswith("/info/lfs/objects/batch"):
            self._answer_batch()
        else:
            self._answer()

    def log_message(self, *_: Any) -> None:  # pylint: disable=arguments-differ
        """Says nothing."""


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories below a directory."""

    daemon_threads = True

    def __init__(self, directory: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory, self.url = directory, f"http://127.0.0.1:{self.server_port}"
        self.pages: dict[str, tuple[int, str]] = {}  # what is at other paths: status, and text or another URL
        self.requests = 0  # of the kind GET
        self.wanted = ""  # the header Authorization that requests must have; empty: none
        self.downloads: list[str] = []  # ids of large files, each time that one was fetched

    def handle_error(self, *_: Any) -> None:  # pylint: disable=arguments-differ
        """Says nothing: a client may leave in the middle."""

    def _store_large(self, text: str) -> str:
        """Keeps a file outside any repository, and returns what a repository has in its place."""
        oid = hashlib.sha256(text.encode()).hexdigest()
        (self.directory / "lfs").mkdir(exist_ok=True)
        (self.directory / "lfs" / oid).write_text(text)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(text.encode())}\n"

    def commit(self, name: str, files: dict[str, str], *references: str) -> str:
        """Adds a commit to what add() made, which branches and tags (refs/tags/...) then mean; returns its id."""
        work = self.directory / f"work-{name}"
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        git("add", "-A", cwd=work)
        git("commit", "-q", "--allow-empty", "-m", "more", cwd=work)
        for reference in references:
            git("push", "-q", "-f", self.directory / f"group/{name}.git", f"HEAD:{reference}", cwd=work)
        return git("rev-parse", "HEAD", cwd=work)

    def add(self, name: str, files: dict[str, str], submodule: str = "", large: dict[str, str] | None = None) -> str:
        """Makes repository group/NAME.git with one commit, whose id is returned; @submodule is another one's name, and
        @large are files that Git LFS is for."""
        work = self.directory / f"work-{name}"
        git("init", "-q", work)
        if large:
            attributes = "".join(f"{path} filter=lfs diff=lfs merge=lfs -text\n" for path in large)
            pointers = {path: self._store_large(text) for path, text in large.items()}
            files = {**files, ".gitattributes": attributes, **pointers}
        for path, text in files.items():
            (work / path).write_text(text)
        if submodule:
            git("submodule", "--quiet", "add", self.directory / f"group/{submodule}.git", submodule, cwd=work)
            git("config", "-f", ".gitmodules", f"submodule.{submodule}.url", f"../{submodule}.git", cwd=work)
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", "one", cwd=work)
        git("clone", "-q", "--bare", work, self.directory / f"group/{name}.git")
        return git("rev-parse", "HEAD", cwd=work)


@contextmanager
def git_server(directory: Path, tls: bool = False) -> Iterator[GitServer]:
    """A server as long as the block lasts. With @tls it has a certificate of the authority in DIRECTORY/authority."""
    directory.mkdir(parents=True)
    with GitServer(directory) as server:
        if tls:
            subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-subj", "/CN=tests", "-addext",
                            "subjectAltName=IP:127.0.0.1,DNS:gitlab.com", "-days", "30", "-keyout", directory / "key",
                            "-out", directory / "authority"], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(directory / "authority", directory / "key")
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.url = server.url.replace("http:", "https:")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
