# SPDX-License-Identifier: GPL-3.0-or-later
"""A stub of the GitLab server that a real gitlab-runner talks to, over HTTP on loopback.

It hands out jobs, takes their logs and states, and can answer that a job is being cancelled. Files below @www are
served for `git` over dumb HTTP and for artifact downloads.
"""

import gzip
import json
import re
import ssl
import threading
import zlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pace import PATIENCE
from simulation.jobspec import Job, Variable
from world import HOST, World, inside

API = "/api/v4/"


@dataclass
class Report:
    """What the runner told about one job."""

    job: Job
    log: bytearray = field(default_factory=bytearray)
    states: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)  # by type: archive, dotenv, junit
    status: str = "running"  # sent back in the Job-Status header: running, canceling, canceled
    done: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def text(self) -> str:
        """The log without the time stamps and stream marks that the runner puts before each line."""
        lines = re.sub(rb"(?m)^\S+Z [0-9a-f]{2}[EO][ +]", b"", bytes(self.log))
        return lines.decode(errors="replace")

    @property
    def final(self) -> dict[str, Any]:
        """The last state reported: state, failure_reason, exit_code, ..."""
        return self.states[-1]

    def dotenv(self) -> list[Variable]:
        """The variables that the server makes of the report of that type, for jobs after this one."""
        lines = gzip.decompress(self.artifacts["dotenv"]).decode().splitlines()
        return [Variable(*line.split("=", 1)) for line in lines]

    def wait_for(self, text: str, timeout: float = PATIENCE) -> None:
        """Waits until the log has @text."""
        with self.changed:
            assert self.changed.wait_for(lambda: text in self.text, timeout), self.text


class Coordinator:
    """The server. Use as a context manager; add jobs with submit()."""

    def __init__(self, www: Path | None = None, tls: ssl.SSLContext | None = None, world: World | None = None):
        """With @world, it is on the host there, at an address that jobs with a network of their own reach."""
        self.www, self._scheme = www, "https" if tls else "http"
        self.reports: dict[int, Report] = {}
        self.requests: dict[str, int] = defaultdict(int)
        self._queue: deque[Job] = deque()
        self._lock = threading.Lock()
        def listen(address: str) -> ThreadingHTTPServer:
            return ThreadingHTTPServer((address, 0), self._handler())
        self._server = inside(world.host, lambda: listen(HOST)) if world else listen("127.0.0.1")
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        """Base URL without a slash at the end."""
        address, port = self._server.server_address[:2]
        return f"{self._scheme}://{address!s}:{port}"

    def __enter__(self) -> "Coordinator":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def submit(self, job: Job) -> Report:
        """Puts a job into the queue."""
        report = self.reports[job.number] = Report(job)
        self._queue.append(job)
        return report

    def next_job(self) -> Job | None:
        """The job to hand out now."""
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        coordinator = self

        class Handler(_Handler):
            """Bound to this coordinator."""

            server_state = coordinator
        return Handler


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests a runner makes."""

    server_state: Coordinator
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # pylint: disable=redefined-builtin
        """Nothing on the terminal."""

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _uploaded(self, body: bytes) -> bytes:
        """The only file in a form."""
        boundary = self.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
        part = body.split(b"--" + boundary)[1]
        return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")

    def _reply(self, code: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(code)
        if body is not None and not isinstance(body, bytes):
            self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if code != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _report(self, path: str) -> Report | None:
        match = re.match(r"jobs/(\d+)", path)
        return self.server_state.reports.get(int(match.group(1))) if match else None

    def _route(self) -> tuple[str, str]:
        path = self.path.split("?")[0]
        self.server_state.requests[f"{self.command} {re.sub(r'[0-9]+', ':id', path)}"] += 1
        return ("api", path[len(API):]) if path.startswith(API) else ("www", path)

    def do_POST(self) -> None:
        """Job requests, runner verification, artifacts."""
        body, (_, path) = self._body(), self._route()
        if path == "jobs/request":
            job = self.server_state.next_job()
            # What GitLab Runner hands on as an object, it gets as a list.
            self._reply(201, job.payload() | {"inputs": []}) if job else self._reply(204)
        elif path in ("runners/verify", "runners"):
            self._reply(200, {"id": 1, "token": json.loads(body)["token"], "token_expires_at": None})
        elif (report := self._report(path)) and path.endswith("/artifacts"):
            kind = parse_qs(urlsplit(self.path).query).get("artifact_type", ["archive"])[0]
            report.artifacts[kind] = self._uploaded(body)
            self._reply(201, {})
        else:
            self._reply(404, {})

    def do_PUT(self) -> None:
        """A job's state."""
        body, (_, path) = json.loads(self._body()), self._route()
        report = self._report(path)
        if not report:
            return self._reply(404, {})
        final = body["state"] in ("success", "failed")
        if final and body.get("checksum") != f"crc32:{zlib.crc32(report.log):08x}":
            return self._reply(412, {})
        report.states.append(body)
        self._reply(200, {}, self._job_headers(report))
        if final:
            report.done.set()
        return None

    def do_PATCH(self) -> None:
        """A piece of a job's log."""
        body, (_, path) = self._body(), self._route()
        report = self._report(path)
        if not report:
            return self._reply(404, {})
        start = int(self.headers["Content-Range"].split("-")[0])
        if start != len(report.log):
            return self._reply(416, {}, {"Range": f"0-{len(report.log)}"})
        with report.changed:
            report.log += body
            report.changed.notify_all()
        return self._reply(202, {}, {"Range": f"0-{len(report.log)}", **self._job_headers(report)})

    @staticmethod
    def _job_headers(report: Report) -> dict[str, str]:
        return {"Job-Status": report.status, "X-GitLab-Trace-Update-Interval": "1"}

    def do_GET(self) -> None:
        """Artifacts of earlier jobs, and files."""
        where, path = self._route()
        www = self.server_state.www
        report = self._report(path) if where == "api" else None
        if report and "archive" in report.artifacts:
            return self._reply(200, report.artifacts["archive"])
        file = www / path.lstrip("/") if www and where == "www" else None
        if file and file.is_file() and ".." not in path:
            return self._reply(200, file.read_bytes())
        return self._reply(404, {})

    do_HEAD = do_GET


CONFIG = """\
concurrent = 4
check_interval = 1
[[runners]]
  name = "nspawn"
  url = "{url}"
  token = "glrt-t3sttoken-abcdef"
  executor = "custom"
  builds_dir = "{builds_dir}"
  cache_dir = "{cache_dir}"
  shell = "bash"
  [runners.custom]
    config_exec = {config[0]}
    config_args = {config[1]}
    prepare_exec = {prepare[0]}
    prepare_args = {prepare[1]}
    run_exec = {run[0]}
    run_args = {run[1]}
    cleanup_exec = {cleanup[0]}
    cleanup_args = {cleanup[1]}
"""


def runner_config(url: str, config: list[str], prepare: list[str], run: list[str], cleanup: list[str],
                  builds_dir: str = "", cache_dir: str = "") -> str:
    """A config.toml for the real gitlab-runner; commands are argument vectors (JSON strings are TOML strings)."""
    def parts(argv: list[str]) -> tuple[str, str]:
        return json.dumps(argv[0]), json.dumps(argv[1:])
    return CONFIG.format(url=url, builds_dir=builds_dir, cache_dir=cache_dir, config=parts(config),
                         prepare=parts(prepare), run=parts(run), cleanup=parts(cleanup))
