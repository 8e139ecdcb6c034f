# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host in jobs: a static bash for images without one, and GitLab Runner's own for caches and artifacts."""

import fcntl
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
from lab import IMAGE, Lab, Site
from ociimage import busybox_root
from simulation.jobspec import Job

BASH_INSIDE = "/run/nspawn-runner-tools/bash"


@pytest.fixture(name="runner")
def fixture_runner(lab: Lab) -> Path:
    """A static program that stands for GitLab Runner's."""
    return lab.driver.parent / "tests" / "unit" / "gitlab-runner"


@pytest.fixture(name="called")
def fixture_called(runner: Path, tmp_path: Path) -> Iterator[list[str]]:
    """What a command begins with that GitLab Runner's program calls, and lives on."""
    with open(tmp_path / "runner.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield [str(runner), "call", lock.name]


@pytest.fixture(name="busybox")
def fixture_busybox(make_site: Callable[..., Site], tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites whose image is busybox: no bash, no git, no certificates."""
    root = tmp_path / "busybox"
    busybox_root(root / IMAGE)
    yield lambda **settings: make_site(root=root, **settings)
    host.remove_tree(root)


@contextmanager
def server() -> Iterator[tuple[str, dict[str, bytes]]]:
    """An HTTP server on loopback that keeps what is put there: its URL, and what it has."""
    kept: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        """PUT and GET."""

        def do_PUT(self) -> None:  # pylint: disable=invalid-name
            """Keeps it."""
            kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()

        def do_GET(self) -> None:  # pylint: disable=invalid-name
            """Gives it back."""
            self.send_response(200 if self.path in kept else 404)
            self.end_headers()
            self.wfile.write(kept.get(self.path, b""))

        def log_message(self, *_: Any) -> None:  # pylint: disable=arguments-differ
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}", kept
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.host_matters
def test_image_without_bash(busybox) -> None:
    """Scripts run in an image without bash, as they are; what they call is the image's."""
    site = busybox()
    result = site.run(Job(["echo ${BASH_VERSION:+it is bash} $SHELL", "readlink -f $(command -v ls)",
                           "[[ a == a ]] && ! test -e /bin/bash && echo none of its own"]))
    assert result.state == "success", result.log
    for line in (f"it is bash {BASH_INSIDE}", "/bin/busybox", "none of its own"):
        assert line in result.log, result.log
    result = site.run(Job(["exit 9"]))
    assert result.exit_code == 9, result.log


def test_static_bash_of_another_place(busybox, tmp_path: Path) -> None:
    """A path in the configuration, or of an image; symlinks are followed once, before the container starts."""
    shutil.copy("/bin/bash-static", tmp_path / "copy")
    (tmp_path / "link").symlink_to("copy")
    tmp_path.chmod(0o755)
    site = busybox(bash_program=str(tmp_path / "link"))
    with site.started() as build:
        assert build.run_script(f"echo ${{BASH_VERSION:+bash}}; [ -w {BASH_INSIDE} ] || echo read-only").stdout == \
            b"bash\nread-only\n"
    site.define(IMAGE, "bash_program: none")
    with site.started() as build:
        assert build.run_script("echo ${BASH_VERSION:-plain}", raw=True).stdout == b"plain\n"


def test_shell_of_the_configuration(busybox) -> None:
    """With `shell`, scripts run with that shell of the image, and the container has no other."""
    with busybox(shell="/bin/sh").started() as build:
        assert build.run_script(f"echo ${{BASH_VERSION:-plain}}; ls {BASH_INSIDE} 2>&1 | grep -c No", raw=True).stdout \
            == b"plain\n1\n"


@pytest.mark.parametrize("setting", ("bash_program", "runner_program"))
def test_program_that_cannot_be_used(busybox, tmp_path: Path, setting: str) -> None:
    """The job ends before its container starts; the log says which setting is wrong, and why."""
    tmp_path.chmod(0o755)
    (tmp_path / "private").touch(0o700)
    for path, why in ((tmp_path / "missing", "No such file or directory"), (tmp_path, "it is not a file"),
                      (tmp_path / "private", "not everybody may read and execute it")):
        result = busybox(**{setting: str(path)}).run(Job())
        assert (result.state, result.failure_reason) == ("failed", "runner_system_failure"), result.log
        assert f"Setting {setting}: '{path}' cannot be used: {why}" in result.log, result.log


def job_with_caches(url: str, **kwargs: Any) -> Job:
    """One that uses all stages that call gitlab-runner."""
    return Job(["cat cached artifact", "echo two >cached; echo new >artifact",
                "command -v gitlab-runner || echo not for scripts"],
               cache=[{"key": "k", "paths": ["cached"], "policy": "pull-push", "when": "on_success"}],
               artifacts=[{"paths": ["artifact"], "when": "on_success"}],
               dependencies=[{"id": 1, "artifacts_file": {"filename": "a.zip"}}], server=url, **kwargs)


@pytest.mark.host_matters
@pytest.mark.parametrize("how", ("caller", "setting", "path"))
def test_caches_and_artifacts(busybox, runner: Path, called: list[str], tmp_path: Path, how: str,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    """GitLab Runner's own steps find the program, wherever it comes from; the job's scripts do not."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "saved").write_text("one\n")
    settings: dict[str, Any] = {"bind": [f"{cache}:/cache"], "network": "host"}
    commands: dict[str, Any] = {}
    if how == "setting":
        settings["runner_program"] = str(runner)
    site = busybox(**settings)
    if how == "caller":
        commands["prepare_exec"] = [*called, *site.argv("prepare", "--default-image", IMAGE)]
    elif how == "path":
        (tmp_path / "gitlab-runner").symlink_to(runner)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")
    with server() as (url, kept):
        kept["/artifact"] = b"old\n"
        result = site.run(job_with_caches(url), **commands)
        assert result.state == "success", result.log
        assert kept["/artifact"] == b"new\n"
    assert "one\nold\n" in result.log.replace("\r", "") and "not for scripts" in result.log, result.log
    assert "Missing" not in result.log, result.log
    assert (cache / "saved").read_text() == "two\n"


def test_without_the_program(busybox, monkeypatch: pytest.MonkeyPatch, called: list[str]) -> None:
    """GitLab Runner's own steps say that it is missing and go on: it is neither there, nor wanted."""
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    job = {"cache": [{"key": "k", "paths": ["cached"], "policy": "pull-push", "when": "on_success"}]}
    if not shutil.which("gitlab-runner"):
        assert "Missing gitlab-runner" in busybox().run(Job(**job)).log
    site = busybox(runner_program="none")
    result = site.run(Job(**job), prepare_exec=[*called, *site.argv("prepare", "--default-image", IMAGE)])
    assert result.state == "success" and "Missing gitlab-runner" in result.log, result.log


def test_own_path_of_the_image(busybox, runner: Path) -> None:
    """The directories of the image's own PATH come after the one with GitLab Runner's program."""
    site = busybox(runner_program=str(runner))
    with site.started() as build:
        for stage, path in (("restore_cache", b"/run/nspawn-runner-tools/bin:"), ("build_script", b""),
                            ("step_restore_cache", b"")):
            usual = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
            assert build.run_script("echo $PATH", stage).stdout == path + usual
