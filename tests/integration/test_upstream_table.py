# SPDX-License-Identifier: GPL-3.0-or-later
"""The behaviours that gitlab-runner's own tests of the custom executor check, as far as a driver has a part in them."""

import ssl
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from coordinator import Coordinator
from lab import IMAGE, Site
from repository import Repository
from simulation.build import Build, Failure
from simulation.jobspec import Job, Variable


@pytest.fixture(name="repository")
def repository_fixture(tmp_path: Path) -> Iterator[Repository]:
    """One commit with one file."""
    with Coordinator(tmp_path / "www") as server:
        yield Repository(tmp_path, server)


def test_driver_name_and_version(site: Site) -> None:
    """The startup line in the job log."""
    version = subprocess.run([site.lab.driver, "--version"], check=True, capture_output=True, text=True).stdout.split()
    log = site.run(Job()).log
    line = next(line for line in log.splitlines() if line.startswith("Using Custom executor"))
    assert line == f"Using Custom executor with driver nspawn-runner {line.split()[-1].removesuffix('...')}..."
    assert line.split()[-1].removesuffix("...") in version


def test_config_prints_nothing_but_json(site: Site) -> None:
    """Standard output is one JSON object; messages, also with --debug, go to standard error."""
    for options in ((), ("--verbose",), ("--debug",)):
        runner = site.runner(config_exec=[*site.argv(*options), "gitlab-config"])
        build = Build(runner, Job())
        build.start_attempt()
        call = build.config()
        assert call and call.stdout.startswith(b"{") and build.hostname and build.builds_dir == "/builds"
        build.cleanup()


def test_run_arguments(site: Site) -> None:
    """Script and stage are appended; step_script arrives as build_script; unknown names are fine."""
    with site.started() as build:
        for stage in ("step_script", "build_script", "step_release", "clear_worktree", "something new", ""):
            assert build.run_script("echo up", stage).stdout == b"up\n"


def test_cleanup_failure_is_only_a_warning(site: Site) -> None:
    """The job's result stays."""
    result = site.run(Job(), cleanup_exec=site.argv("--config", "/no/such/file", "cleanup"))
    assert result.state == "success" and "Cleanup script failed" in result.runner_log
    done = site.call("cleanup", "--id", site.job_id())
    assert done.returncode == 0 and site.traces() == []


@pytest.mark.host_matters
@pytest.mark.parametrize("image, works", ((IMAGE, True), ("", True), ("$WHICH", True), ("$UNKNOWN", True),
                                          ("no-such", False)))
def test_job_image(site: Site, image: str, works: bool) -> None:
    """Set, empty (the default image), from a variable, from an unknown variable (empty), not there."""
    result = site.run(Job(image=image, variables=[("WHICH", IMAGE)]))
    assert (result.state == "success") == works, str(result)


SERVICES = [
    [{"name": IMAGE, "command": ["sleep", "1000"]}],
    [{"name": "$DB", "alias": "db, other", "entrypoint": ["sleep"], "command": ["1000"],
      "variables": [vars(Variable("POSTGRES_PASSWORD", "se$DB\"cret")),
                    vars(Variable("FILE", "content", True, True))]}],
]


@pytest.mark.parametrize("services", SERVICES)
def test_services(make_site, services: list[dict]) -> None:
    """With a name alone, and with all that can be said of one: the job finds it by its names."""
    site = make_site(network="none")
    names = [name for service in services for name in service.get("alias", IMAGE).split(", ")]
    result = site.run(Job([f"getent hosts {name}" for name in names], services=services, variables=[("DB", IMAGE)]))
    assert result.state == "success", result.log


@pytest.mark.parametrize("script, code", (("exit 1", 1), ("exit 42", 42), ("exit 2", 2), ("exit 255", 255),
                                          ("exit 300", 44), ("false", 1), ("no-such-command", 127),
                                          ("true | false | true", 1), ("set -u; echo $undefined_", 1)))
def test_script_failures(site: Site, script: str, code: int) -> None:
    """All of the script's failures are script failures, with the number the script gave."""
    result = site.run(Job([script]))
    assert (result.state, result.failure_reason, result.exit_code) == ("failed", "script_failure", code), result.log


def test_prepare_script_failure(site: Site) -> None:
    """A container that is gone at the first stage: system failure, cleanup follows."""
    build = Build(site.runner(), Job())
    build.begin()
    assert site.call("cleanup", env=build.environment()).returncode == 0
    with pytest.raises(Failure) as failure:
        build.run_stage("prepare_script")
    assert failure.value.reason == "runner_system_failure"
    assert build.cleanup().returncode == 0


def test_raw_variable(site: Site) -> None:
    """A raw variable arrives as it is, and so do difficult values."""
    values = {"RAW": "$VARIABLE$WITH$DOLLARS$$", "QUOTES": "'\"`\\ $(id) ${x}", "LINES": "a\nb\n\n c",
              "UTF8": "äöü 漢字 🙂", "CONTROL": "\x01\x02\x1b[31m\x7f", "LONG": "x" * 100_000}
    job = Job([f'printf "%s|" "${{{name}}}"' for name in values],
              variables=[Variable(k, v, raw=True) for k, v in values.items()])
    result = site.run(job)
    assert result.state == "success", result.message
    for value in values.values():
        assert value.encode() + b"|" in result.call("build_script").stdout


def test_too_long_variable(site: Site) -> None:
    """Above 128 KiB the runner cannot call any driver: its own failure, at every stage, and no harm done."""
    result = site.run(Job(variables=[Variable("LONG", "x" * 200_000)]))
    assert result.failure_reason == "runner_system_failure" and "failed to start command" in result.message


def test_masked_and_file_values(site: Site) -> None:
    """Masked values reach the script in plain text, file values as a path."""
    job = Job(['echo "$MASKED" | tr a-z A-Z', 'cat "$FILE"'],
              variables=[Variable("MASKED", "masked-value", masked=True), Variable("FILE", "file-value", file=True)])
    result = site.run(job)
    assert "MASKED-VALUE" in result.log and "file-value" in result.log


@pytest.mark.parametrize("variables, expected", (
    ([("GIT_STRATEGY", "clone")], ["Created fresh repository", "from the repository"]),
    ([("GIT_STRATEGY", "fetch")], ["Fetching changes", "from the repository"]),
    ([("GIT_STRATEGY", "none")], ["Skipping Git repository setup"]),
    ([("GIT_STRATEGY", "empty")], ["creating an empty build directory"]),
    ([("GIT_STRATEGY", "clone"), ("GIT_CHECKOUT", "false")], ["Skipping Git checkout"]),
))
def test_git_strategies(site: Site, repository: Repository, variables: list, expected: list[str]) -> None:
    """Sources by HTTP into the project directory; nothing of them in the next job."""
    for _ in range(2):
        result = site.run(repository.job(["cat file || echo no file; pwd"], *variables))
        assert result.state == "success", result.log
        for text in expected:
            assert text in result.log, result.log


@pytest.mark.host_matters
def test_git_strategies_in_boot_mode(make_site, repository: Repository) -> None:
    """The same with systemd in the container."""
    result = make_site(boot="yes").run(repository.job(["cat file"], ("GIT_STRATEGY", "clone")))
    assert result.state == "success" and "from the repository" in result.log, result.log


def test_get_sources_is_tried_again(site: Site, repository: Repository) -> None:
    """A failing get_sources, tried again with clear_worktree before: each its own run call."""
    job = repository.job(["echo never"], ("GIT_STRATEGY", "clone"), ("GET_SOURCES_ATTEMPTS", "2"))
    job.git["sha"] = "f" * 40
    result = site.run(job)
    assert result.state == "failed" and result.failure_reason == "script_failure", str(result)
    assert result.names()[2:6] == ["prepare_script", "get_sources", "clear_worktree", "get_sources"]
    assert "build_script" not in result.names() and result.names()[-2] == "cleanup_file_variables"


def test_git_over_tls(site: Site, repository: Repository, tmp_path: Path) -> None:
    """A clone from a server with a certificate of its own, trusted by the CA file that the server sent."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", tmp_path / "key",
                    "-out", tmp_path / "certificate"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with Coordinator(tmp_path / "www", context) as server:
        url = server.url + "/group/project.git"
        certificate = Variable("CI_SERVER_TLS_CA_FILE", (tmp_path / "certificate").read_text(), file=True)
        job = Job([f"git -c http.sslCAInfo=$CI_SERVER_TLS_CA_FILE clone -q {url} c && cat c/file",
                   f"if git clone -q {url} d; then exit 9; fi"], variables=[certificate])
        result = site.run(job)
    assert result.state == "success" and "from the repository" in result.log, result.log


def test_debug_trace_and_sections(site: Site) -> None:
    """xtrace output, collapsed commands and section marks come through."""
    variables = [("CI_DEBUG_TRACE", "true"), ("FF_SCRIPT_SECTIONS", "true")]
    result = site.run(Job(["echo one\necho two"], variables=variables))
    assert result.state == "success" and b"+ echo one" in result.call("build_script").stderr
    assert "section_start:" in result.log and "section_end:" in result.log and "\r" in result.log
    result = site.run(Job(["echo one\necho two"]))
    assert "collapsed multi-line command" in result.log


@pytest.mark.parametrize("variable", ("FF_USE_LEGACY_BASH_EVAL", "FF_POSIXLY_CORRECT_ESCAPES"))
def test_script_forms(site: Site, variable: str) -> None:
    """The other forms in which the runner writes scripts."""
    result = site.run(Job(["echo 'a  \"$HOME\" `echo b`' | cat", "exit 42"], variables=[(variable, "true")]))
    assert result.exit_code == 42 and "a  \"$HOME\" `echo b`" in result.log, result.log


def test_temporary_directory_gone_before_run(site: Site) -> None:
    """The script is gone: "no such file or directory", as a system failure."""
    with site.started() as build:
        argv = build.run_argv("echo never")
        Path(argv[-2]).unlink()
        call = build.start("build_script", argv)
        assert call.wait() and call.returncode == 2
        assert b"o such file or directory" in call.stderr and argv[-2].encode() in call.stderr


def test_gitlab_env(any_boot_site: Site) -> None:
    """GITLAB_ENV: what one step writes there is a variable in the next."""
    result = any_boot_site.run(Job(["echo MADE=here >> $GITLAB_ENV"], ["echo got-$MADE"]))
    assert result.state == "success" and "got-here" in result.log


def test_caches_and_artifacts_without_the_helper(site: Site) -> None:
    """No gitlab-runner in the image: these stages warn and pass."""
    artifact = {"name": "a", "paths": ["x"], "when": "always"}
    result = site.run(Job(artifacts=[artifact], cache=[{"key": "k", "paths": ["x"]}]))
    assert result.state == "success" and "Missing gitlab-runner" in result.log
    assert {"restore_cache", "archive_cache", "upload_artifacts_on_success"} <= set(result.names())


def test_several_steps(site: Site) -> None:
    """A further step (release:) is a run call of its own, in the same machine."""
    step = {"name": "release", "script": ["cat /root/from-script"], "timeout": 60, "when": "on_success",
            "allow_failure": False}
    result = site.run(Job(["echo kept > /root/from-script"], extra_steps=[step]))
    assert result.state == "success" and b"kept" in result.call("step_release").stdout


@pytest.mark.host_matters
def test_prepare_retry_after_system_failure(site: Site) -> None:
    """A first attempt that failed for a reason that has gone: the second works, with cleanup between."""
    flag = site.directory / "second-time"
    once = f'if test -e {flag}; then exec "$@"; fi; touch {flag}; exit 2'
    wrapper = ["sh", "-c", once, "sh", *site.argv("prepare", IMAGE)]
    result = site.run(Job(), prepare_exec=wrapper)
    assert result.state == "success"
    assert result.names()[:5] == ["config", "prepare", "cleanup", "config", "prepare"]


@pytest.mark.host_matters
def test_umask_and_directory(site: Site) -> None:
    """A script begins with the usual umask and in a directory that exists."""
    with site.started() as build:
        assert build.run_script("#!/bin/bash\numask; cd . && echo ok\n", raw=True).stdout == b"0022\nok\n"
