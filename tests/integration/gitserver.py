# SPDX-License-Identifier: GPL-3.0-or-later
"""Git repositories served by git's own http-backend on loopback, with or without TLS from a private authority."""

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
        out = subprocess.run(["git", "http-backend"], input=self.rfile.read(size), env=environment, check=True,
                             capture_output=True).stdout
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

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:  # pylint: disable=arguments-differ
        """Says nothing."""


class GitServer(ThreadingHTTPServer):
    """Serves the bare repositories below a directory."""

    daemon_threads = True

    def __init__(self, directory: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory, self.url = directory, f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, files: dict[str, str], submodule: str = "") -> str:
        """Makes repository group/NAME.git with one commit, whose id is returned; @submodule is another one's name."""
        work = self.directory / f"work-{name}"
        git("init", "-q", work)
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
                            "subjectAltName=IP:127.0.0.1", "-days", "30", "-keyout", directory / "key",
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
