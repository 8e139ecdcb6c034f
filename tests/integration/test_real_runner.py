# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs played by a real gitlab-runner against the stub coordinator; and the simulated runner held against it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import ociimage
from coordinator import Coordinator
from lab import IMAGE, Lab, Site
from pace import PATIENCE
from realrunner import RealRunner
from simulation.build import Runner
from simulation.gitlabrunner import run_job
from simulation.jobspec import FEATURE_FLAGS, Job, Variable
from world import World

RECORDER = """\
#!{python}
import json, os, stat, sys
stage = sys.argv[1]
def mode(path):
    return oct(stat.S_IMODE(os.lstat(path).st_mode))
temp = os.environ["TMPDIR"]
entry = dict(argv=sys.argv[1:], env=dict(os.environ), cwd=os.getcwd(), leader=os.getpgrp() == os.getpid(),
             stdin=os.readlink("/proc/self/fd/0"), tty=[os.isatty(fd) for fd in (0, 1, 2)],
             pipes=[stat.S_ISFIFO(os.fstat(fd).st_mode) for fd in (1, 2)],
             temp=mode(temp), response=mode(temp + "/response.json"),
             payload=open(temp + "/response.json").read(),
             exit_code_file=os.path.exists(os.environ["BUILD_EXIT_CODE_FILE"]))
if stage == "run":
    entry["script"] = open(sys.argv[2]).read()
    entry["script_mode"] = mode(sys.argv[2])
    entry["script_dir_mode"] = mode(os.path.dirname(sys.argv[2]))
with open({log!r}, "a") as file:
    file.write(json.dumps(entry) + "\\n")
if stage == "config":
    print(json.dumps(dict(builds_dir="/builds", cache_dir="/cache", hostname="h", driver=dict(name="recorder"),
                          job_env=dict(FROM_CONFIG="1"))))
if stage == "run" and sys.argv[3] == "build_script":
    with open(os.environ["BUILD_EXIT_CODE_FILE"], "w") as file:
        file.write("42")
    sys.exit(1)
"""


@pytest.fixture(name="coordinator")
def coordinator_fixture(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator that also serves tmp_path/www."""
    with Coordinator(tmp_path / "www") as coordinator:
        yield coordinator


@pytest.fixture(name="real")
def real_fixture(tmp_path: Path, coordinator: Coordinator, any_boot_site: Site) -> RealRunner:
    """The real runner with the real driver."""
    return RealRunner(tmp_path, coordinator, any_boot_site.runner())


def record(path: Path, play) -> list[dict]:
    """Calls that a recording driver saw while @play(runner) played a job."""
    path.mkdir()
    recorder, log = path / "recorder", path / "calls"
    recorder.write_text(RECORDER.format(python=sys.executable, log=str(log)))
    recorder.chmod(0o755)
    argv = {name: [str(recorder), name] for name in ("config", "prepare", "run", "cleanup")}
    (path / "tmp").mkdir()
    play(Runner(argv["config"], argv["prepare"], argv["run"], argv["cleanup"], shell="bash",
                tmpdir=str(path / "tmp"), own_environ={**os.environ, "TMPDIR": str(path / "tmp")}))
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_simulation_is_faithful(tmp_path: Path, coordinator: Coordinator) -> None:
    """The same job by the real and the simulated runner: same calls, environment, files and scripts."""
    def job() -> Job:
        return Job(["echo one", "echo two\necho three"], ["echo after"], image="img-$WORD", number=7, token="t",
                   variables=[("WORD", "w"), ("FILE", "in it", True, True), ("RAW", "$A$$", True, False, False, True),
                              ("QUOTED", "a'b\\\n\t\u00fc$$"), ("FF_SCRIPT_SECTIONS", "true")],
                   services=[{"name": "db:1", "alias": "db other", "variables": [vars(Variable("P", "<$WORD>"))]}],
                   server=coordinator.url)
    real = record(tmp_path / "real", lambda runner: RealRunner(tmp_path, coordinator, runner).run(job()))
    simulated = record(tmp_path / "simulated", lambda runner: run_job(runner, job()))
    assert [c["argv"][0] + ":" + c["argv"][-1].split("/")[-1] for c in simulated] == \
        [c["argv"][0] + ":" + c["argv"][-1].split("/")[-1] for c in real]
    for ours, theirs in zip(simulated, real, strict=True):
        for key in ours.keys() - {"argv", "env", "cwd", "payload", "script"}:
            assert ours[key] == theirs[key], (ours["argv"], key)
        assert comparable(ours["env"], tmp_path) == comparable(theirs["env"], tmp_path), ours["argv"]
        if "script" in ours:
            assert envelope_of(ours["script"]) == envelope_of(theirs["script"])
        assert ours["payload"] == theirs["payload"]


def comparable(environ: dict[str, str], directory: Path) -> dict[str, str]:
    """The environment without what differs by nature: random names, versions, flags of no concern."""
    known = {f"CUSTOM_ENV_{flag}" for flag in FEATURE_FLAGS}
    skip = re.compile(r"CUSTOM_ENV_(CI_RUNNER_VERSION|CI_RUNNER_REVISION|CI_RUNNER_EXECUTABLE_ARCH)|_|SHLVL")
    return {key: re.sub(rf"{re.escape(str(directory))}/(\w+/)?tmp/custom-executor\w+", "TEMP", value)
            for key, value in environ.items()
            if not skip.fullmatch(key) and (not key.startswith("CUSTOM_ENV_FF_") or key in known)
            and "/pytest" not in key and key != "TMPDIR"}


def envelope_of(script: str) -> str:
    """The script without the evaluated body."""
    return re.sub(r"eval .*\) < /dev/null", "eval BODY) < /dev/null", script, flags=re.S)


def test_job(real: RealRunner) -> None:
    """A whole job, with a failing one after it."""
    good, bad = real.run(Job(["echo good-$((6*7)); cat /etc/hostname"], ["echo after-$CI_JOB_STATUS"]),
                         Job(["exit 42"], ["echo after-$CI_JOB_STATUS"]))
    assert good.final["state"] == "success", good.text
    assert "good-42" in good.text and "after-success" in good.text
    assert "with driver nspawn-runner" in good.text
    assert bad.final["state"] == "failed" and bad.final["failure_reason"] == "script_failure", bad.text
    assert bad.final["exit_code"] == 42 and "after-failed" in bad.text


def test_no_such_image(real: RealRunner) -> None:
    """A build failure: reported once, without a retry."""
    (report,) = real.run(Job(image="no-such-image"))
    assert report.final["failure_reason"] == "script_failure"
    assert "no-such-image" in report.text and "Will be retried" not in report.text


@pytest.mark.parametrize("status", ("canceling", "canceled"))
def test_cancel(site: Site, tmp_path: Path, coordinator: Coordinator, status: str) -> None:
    """canceling: after_script still runs. canceled: nothing more does."""
    real = RealRunner(tmp_path, coordinator, site.runner())
    report = coordinator.submit(Job(["while :; do echo begun; sleep 0.5; done"], ["echo after-$CI_JOB_STATUS"]))
    with real.working():  # the runner hears of it in the answer to the next piece of the log
        report.wait_for("begun")
        report.status = status
        if status == "canceling":
            report.wait_for("after-canceled")
            assert report.done.wait(PATIENCE)
            assert report.final["failure_reason"] in ("job_canceled", "unknown_failure")
    assert ("after-" in report.text.replace("after-$", "")) == (status == "canceling")


def repository(directory: Path, served: Path) -> str:
    """Makes a repository with one file, to be fetched over HTTP from @served; returns its commit."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C"]
    subprocess.run(["git", "init", "-q", "-b", "main", directory], check=True)
    (directory / "file").write_text("from the repository\n")
    for arguments in (["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, directory, *arguments], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", directory, served], check=True)
    subprocess.run([*git, served, "update-server-info"], check=True)
    return subprocess.run([*git, directory, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_git(real: RealRunner, coordinator: Coordinator) -> None:
    """A clone over HTTP from loopback, then the files in the user's script."""
    sha = repository(real.directory / "source", real.directory / "www" / "group" / "project.git")
    (report,) = real.run(Job(["cat file", "git log --oneline"], variables=[("GIT_STRATEGY", "clone")],
                             server=coordinator.url, git={"sha": sha}))
    assert report.final["state"] == "success", report.text
    assert "from the repository" in report.text and "Created fresh repository" in report.text


def test_clone_path(real: RealRunner, site: Site, coordinator: Coordinator) -> None:
    """With the section that `toml` prints, a job may choose where its project is, as with the Docker executor."""
    sha = repository(real.directory / "source", real.directory / "www" / "group" / "project.git")
    toml = site.call("toml", IMAGE).stdout.replace("https://gitlab.example.com/", coordinator.url)
    real.file.write_text("concurrent = 1\ncheck_interval = 1\n" + toml.replace('token = ""', 'token = "glrt-t3sttoken-abcdef"'))
    (report,) = real.run(Job(["pwd; cat file"], server=coordinator.url, git={"sha": sha},
                             variables=[("GIT_STRATEGY", "clone"), ("GIT_CLONE_PATH", "$CI_BUILDS_DIR/go/src/x")]))
    assert report.final["state"] == "success", report.text
    assert "/builds/go/src/x\nfrom the repository\n" in report.text.replace("\r", ""), report.text


SERVER = """
import socket
server = socket.create_server(("", 6000))
while True:
    with server.accept()[0] as connection:
        connection.sendall(b"from the service\\n")
"""


def test_as_with_docker(lab: Lab, make_site: Callable[..., Site], tmp_path: Path) -> None:
    """What a pipeline for the Docker executor does, with an image in which nothing is prepared: sources, a service, a cache,
    artifacts that the next job gets."""
    small = lab.root("overlay") / "small-image"
    ociimage.busybox_root(small)
    world = World()
    try:
        site = make_site(network="private")
        with Coordinator(tmp_path / "www", world=world) as coordinator:
            sha = repository(tmp_path / "source", tmp_path / "www" / "group" / "project.git")
            service = {"name": IMAGE, "alias": "db", "entrypoint": None, "command": ["python3", "-c", SERVER],
                       "variables": [vars(Variable("HEALTHCHECK_TCP_PORT", "6000"))]}

            def job(*script: str, **more: Any) -> Job:
                return Job(list(script), image="small-image", variables=[("GIT_STRATEGY", "clone")],
                           server=coordinator.url, git={"sha": sha}, services=[service],
                           cache=[{"key": "k", "paths": ["kept"], "policy": "pull-push", "when": "on_success"}], **more)
            first = job("cat file; nc db 6000; echo cached >kept; echo made >result",
                        artifacts=[{"name": "result", "paths": ["result"], "when": "on_success"}])
            second = job("cat kept result; exit 3", dependencies=[
                {"id": first.number, "name": "first", "token": first.token, "artifacts_file": {"filename": "a", "size": 1}}])
            real = RealRunner(tmp_path, coordinator, site.runner(), tuple(world.wrapper))
            reports = real.run(first) + real.run(second)
        assert reports[0].final["state"] == "success", reports[0].text
        for text in ("from the repository", "from the service", "Creating cache k", "Uploading artifacts"):
            assert text in reports[0].text, reports[0].text
        assert reports[1].final.get("exit_code") == 3, reports[1].text
        assert "cached\nmade\n" in reports[1].text.replace("\r", ""), reports[1].text
    finally:
        world.close()
        host.remove_tree(small)
