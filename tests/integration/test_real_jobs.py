# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pipeline relies on, with a real gitlab-runner: files between jobs, time limits, retries, several jobs at once, and
what is left on the host when gitlab-runner itself is ended."""

import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import ociimage
from coordinator import Coordinator, Report
from lab import IMAGE, Site
from pace import PATIENCE, wait_until
from realrunner import RealRunner
from repository import Repository
from simulation.jobspec import Job, Variable
from world import World


@pytest.fixture(name="coordinator")
def coordinator_fixture(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator that also serves tmp_path/www."""
    with Coordinator(tmp_path / "www") as coordinator:
        yield coordinator


@pytest.fixture(name="real_of")
def real_of_fixture(tmp_path: Path, coordinator: Coordinator) -> Callable[[Site], RealRunner]:
    """The real runner with the driver of a site."""
    return lambda site: RealRunner(tmp_path, coordinator, site.runner())


def succeeded(report: Report) -> str:
    """The log of a job, which must have succeeded."""
    assert report.final["state"] == "success", report.text
    return report.text.replace("\r", "")


def test_files_between_jobs(site: Site, real_of, coordinator: Coordinator) -> None:
    """Artifacts, reports and a cache, also of jobs that fail. The cache of a protected branch is not that of the others."""
    def artifact(kind: str, path: str, when: str, form: str = "gzip") -> dict[str, Any]:
        return {"name": kind, "paths": [path], "when": when, "artifact_type": kind, "artifact_format": form}

    def job(*script: str, cache: str = "pull", **more: Any) -> Job:
        return Job(list(script), server=coordinator.url, cache=[
            {"key": "k", "paths": ["kept/"], "policy": cache, "when": "always", "fallback_keys": ["old"]}], **more)

    def needs(report: Report) -> list[dict[str, Any]]:
        return [{"id": report.job.number, "name": "first", "token": report.job.token,
                 "artifacts_file": {"filename": "archive.zip", "size": len(report.artifacts["archive"])}}]

    real = real_of(site)
    (first,) = real.run(job(
        "mkdir kept out; echo cached >kept/file; ln -s file kept/link; echo made >out/result; chmod 750 out/result",
        "echo 'VERSION=1.2 $CI' >build.env; echo '<testsuites/>' >report.xml; exit 4", cache="pull-push", artifacts=[
            artifact("archive", "out", "always", "zip"), artifact("dotenv", "build.env", "always"),
            artifact("junit", "report.xml", "on_failure"), artifact("metrics", "report.xml", "on_success")]))
    assert first.final["exit_code"] == 4, first.text
    assert first.artifacts.keys() == {"archive", "dotenv", "junit"}, first.text
    second = job("cat kept/link out/result; stat -c %a out/result; echo \"of $VERSION\"", dependencies=needs(first),
                 variables=[Variable(v.key, v.value, raw=True) for v in first.dotenv()])
    assert "cached\nmade\n750\nof 1.2 $CI\n" in succeeded(real.run(second)[0])
    protected = job("ls kept || echo nothing here", git={"protected": True})
    assert "nothing here" in succeeded(real.run(protected)[0])


def test_sources_that_stay(make_site, real_of, tmp_path: Path, coordinator: Coordinator) -> None:
    """With `builds: persistent`, the next job fetches what is new, and does not find what the last one made."""
    project = Repository(tmp_path, coordinator)
    real = real_of(make_site(builds="persistent"))

    def play(script: str) -> str:
        return succeeded(real.run(Job([script], server=coordinator.url, variables=[("GIT_STRATEGY", "fetch")],
                                      git={"sha": project.sha}))[0])
    play("touch made; ls -d .git")
    first = [path for path in (project.bare / "objects").rglob("*") if path.is_file() and path.parent.name != "info"]
    (project.work / "new").write_text("new\n")
    project.git("add", ".")
    project.git("commit", "-q", "-m", "second")
    project.git("push", "-q", str(project.bare), "main")
    subprocess.run(["git", "-C", project.bare, "update-server-info"], check=True)
    project.sha = project.git("rev-parse", "HEAD")
    for path in first:  # whoever fetches everything fails
        path.unlink()
    log = play("ls; git log --format=%s")
    assert "Removing made" in log and "file\nnew\nsecond\nfirst" in log, log


def test_image_of_a_registry(make_site, real_of, tmp_path: Path, coordinator: Coordinator,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but busybox is in it: the project comes by way of the helper."""
    ociimage.busybox_layout(tmp_path / "layout", None, Env=["PATH=/bin", "OF_IMAGE=yes"])
    project = Repository(tmp_path, coordinator)
    site = make_site(pull="if-not-present")
    with ociimage.registry(tmp_path / "registry") as registry:
        for name, value in registry.environment().items():
            monkeypatch.setenv(name, value)
        image = registry.push(tmp_path / "layout", "group/app:1")
        job = Job(["cat file; ls /bin; echo $OF_IMAGE"], ["echo afterwards in $(pwd)"], image=image, server=coordinator.url,
                  variables=[("GIT_STRATEGY", "clone")], git={"sha": project.sha})
        log = succeeded(real_of(site).run(job)[0])
    host.remove_tree(site.root / ".oci")
    for text in ("from the repository\n", "\nbusybox\n", "\nyes\n", "afterwards in /builds/group/project"):
        assert text in log, log
    assert "\ngit\n" not in log and "\nbash\n" not in log


WITNESS = """
import os, socket
with socket.create_server(("", 6000)) as server:
    while True:
        with server.accept()[0] as connection:
            told = {name: os.environ.get(name) for name in ("OWN", "OF_JOB", "SECRET", "FROM_JOB", "OWN_FILE")}
            told["file"] = open(os.environ["FILE"]).read()
            connection.sendall(repr(told).encode())
"""


def test_variables_of_a_service(make_site, tmp_path: Path) -> None:
    """A service has the public variables of the job, and its own. Those of type file are paths; the job's files are there."""
    world = World()
    try:
        site = make_site(network="private")
        service = {"name": IMAGE, "alias": "db other", "entrypoint": None, "command": ["python3", "-c", WITNESS]}
        service["variables"] = [
            vars(Variable("HEALTHCHECK_TCP_PORT", "6000")), vars(Variable("OWN", "of the service")),
            vars(Variable("FROM_JOB", "<$OF_JOB>")), vars(Variable("OWN_FILE", "in it", file=True))]
        ask = "python3 -c 'import socket; print(socket.create_connection((\"%s\", 6000)).recv(9999).decode())'"
        with Coordinator(tmp_path / "www", world=world) as coordinator:
            real = RealRunner(tmp_path, coordinator, site.runner(), tuple(world.wrapper))
            job = Job([ask % "db", ask % "other", ask % IMAGE], services=[service], server=coordinator.url, variables=[
                ("OF_JOB", "of the job"), ("CI_DEBUG_SERVICES", "true"), Variable("SECRET", "hidden", public=False),
                Variable("FILE", "of a file", file=True)])
            log = succeeded(real.run(job)[0])
    finally:
        world.close()
    path = "/builds/group/project.tmp/OWN_FILE"
    told = f"'OWN': 'of the service', 'OF_JOB': 'of the job', 'SECRET': None, 'FROM_JOB': '<of the job>', 'OWN_FILE': '{path}'"
    assert log.count(told) == 3 and log.count("'file': 'of a file'") == 3, log


def test_exit_codes(site: Site, real_of) -> None:
    """The server gets the script's own, by which it decides about `allow_failure`. after_script decides about nothing, unless
    the job wants it to. What is masked is not in the log."""
    real = real_of(site)
    secret = Variable("SECRET", "correct-horse", public=False, masked=True)
    bad, good, wanted, unknown = real.run(
        Job(["echo it is $SECRET", "(exit 137)"], ["echo after $CI_JOB_STATUS; exit 3"], variables=[secret]),
        Job(["echo fine"], ["exit 3"]),
        Job(["echo fine"], ["exit 3"], variables=[("AFTER_SCRIPT_IGNORE_ERRORS", "false")]),
        Job(["no-such-command"]))
    assert (bad.final["failure_reason"], bad.final["exit_code"]) == ("script_failure", 137), bad.text
    assert "it is [MASKED]" in bad.text and "correct-horse" not in bad.text and "after failed" in bad.text, bad.text
    assert good.final["state"] == "success", good.text
    assert (wanted.final["failure_reason"], wanted.final["exit_code"]) == ("script_failure", 3), wanted.text
    assert unknown.final["exit_code"] == 127, unknown.text


def test_time_limits(site: Site, real_of) -> None:
    """At the script's own, after_script still runs; at the job's, nothing does."""
    real = real_of(site)
    script, job = real.run(
        Job(["echo begun; sleep infinity"], ["echo after $CI_JOB_STATUS"], variables=[("RUNNER_SCRIPT_TIMEOUT", "2s")]),
        Job(["echo begun; sleep infinity"], ["echo after $CI_JOB_STATUS"], timeout=15))
    assert script.final["failure_reason"] == "job_execution_timeout" and "after timedout" in script.text, script.text
    assert job.final["failure_reason"] == "job_execution_timeout" and "after " not in job.text, job.text
    assert site.traces() == []


def test_prepare_is_tried_again(site: Site, real_of) -> None:
    """A failure of the host is one of the runner's: three attempts, and the job succeeds if one of them does."""
    site.settings["disk_reserve"] = "900T"
    site.write_config()
    real = real_of(site)
    (report,) = real.run(Job())
    assert report.final["failure_reason"] == "runner_system_failure", report.text
    assert report.text.count("is nearly full") == 3 and report.text.count("Will be retried") == 3, report.text
    report = real.coordinator.submit(Job(["echo from the script"]))
    with real.working():
        report.wait_for("Will be retried")
        del site.settings["disk_reserve"]
        site.write_config()
        assert report.done.wait(PATIENCE)
    assert "from the script" in succeeded(report)


def test_native_steps(make_site, real_of, tmp_path: Path) -> None:
    """Jobs with `run:` become a call of step-runner, which the image has to have."""
    real = real_of(make_site())
    steps = [{"name": "greet", "script": "echo hello"}]
    (report,) = real.run(Job(run=steps))
    assert report.final["exit_code"] == 127 and "step-runner" in report.text, report.text
    program = tmp_path / "step-runner"
    program.write_text("#!/bin/sh\necho \"called with $* for $STEPS\"\n")
    program.chmod(0o755)
    real = real_of(make_site(bind_ro=[f"{program}:/usr/local/bin/step-runner"]))
    log = succeeded(real.run(Job(run=steps))[0])
    assert "called with ci for [{" in log and '"script":"echo hello"' in log, log


def test_four_at_once(make_site, real_of, tmp_path: Path) -> None:
    """As many as `concurrent` says. They wait for each other."""
    meeting = tmp_path / "meeting"
    meeting.mkdir(mode=0o777)
    meeting.chmod(0o777)
    real = real_of(make_site(bind=[f"{meeting}:/meeting"]))
    wait = "touch /meeting/$CI_JOB_ID; until [ $(ls /meeting | wc -l) = 4 ]; do sleep 0.1; done; echo met"
    for report in real.run(*(Job([wait]) for _ in range(4))):
        assert "met\n" in succeeded(report)


def until_gone(site: Site) -> None:
    """Waits until nothing of its jobs is on the host."""
    wait_until(lambda: not site.traces())


def test_sigquit(make_site, real_of, tmp_path: Path) -> None:
    """gitlab-runner finishes its job, and takes no other."""
    go = tmp_path / "go"
    go.mkdir()
    site = make_site(bind_ro=[f"{go}:/go"])
    real = real_of(site)
    report = real.coordinator.submit(Job(["echo begun; until [ -e /go/on ]; do sleep 0.1; done; echo ended"]))
    with real.working() as process:
        report.wait_for("begun")
        process.send_signal(signal.SIGQUIT)
        other = real.coordinator.submit(Job())
        (go / "on").touch()
        process.wait(PATIENCE)
    assert "ended" in succeeded(report) and not other.states
    assert site.traces() == []


@pytest.mark.supervisor_matters
def test_sigterm(site: Site, real_of) -> None:
    """The job fails, and nothing of it is left."""
    real = real_of(site)
    report = real.coordinator.submit(Job(["trap '' TERM; echo begun; while :; do sleep 1; done"], ["echo afterwards"]))
    with real.working() as process:
        report.wait_for("begun")
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert report.final["state"] == "failed" and "afterwards" not in report.text, report.text
    until_gone(site)


@pytest.mark.supervisor_matters
def test_sigkill(site: Site, real_of) -> None:
    """The container ends, as nobody has use for it. The next gitlab-runner goes on with other jobs, and gc
    removes what is left."""
    real = real_of(site)
    report = real.coordinator.submit(Job(["echo begun; sleep infinity"]))
    with real.working() as process:
        report.wait_for("begun")
        process.kill()
        process.wait()
    wait_until(lambda: not site.job_pids())
    assert "of the next\n" in succeeded(real.run(Job(["echo of the next"]))[0])
    assert site.call("gc").returncode == 0 and site.traces() == []
