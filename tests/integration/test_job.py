# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole job, from config to cleanup, in each combination of storage, user namespace and boot mode."""

from collections.abc import Callable
from typing import Any

import pytest

import host
from lab import IMAGE, Lab, Site
from simulation.jobspec import Job

pytestmark = pytest.mark.supervisor_matters

SCRIPT = [
    "echo from-build-script; pwd; id -u",
    "echo data > kept; touch /root/made-by-job; (echo multi\necho line)",
    "test -d /builds && test -d /proc/1 && cat /etc/debian_version",
    "echo to-stderr >&2",
]


def test_whole_job(any_site: Site, lab: Lab) -> None:
    """Everything is called in order, files last from step to step, and nothing is left."""
    image = lab.image(any_site.settings["storage"])
    before = host.fingerprint(image)
    result = any_site.run(Job(SCRIPT, ["cat kept; echo after-$CI_JOB_STATUS; test -e /root/made-by-job"], image=IMAGE))
    assert result.state == "success", result.log + result.runner_log
    assert result.names() == ["config", "prepare", "prepare_script", "get_sources", "build_script", "after_script",
                              "cleanup_file_variables", "cleanup"]
    output = result.call("build_script").stdout.decode()
    assert "from-build-script\n/builds/group/project\n0\n" in output and "multi\nline\n" in output
    assert result.call("build_script").stderr == b"to-stderr\n"
    assert "data\nafter-success\n" in result.call("after_script").stdout.decode()
    assert "Running on " in result.call("prepare_script").stdout.decode()
    assert result.call("cleanup").returncode == 0
    assert any_site.traces() == []
    assert host.changes(before, host.fingerprint(image)) == []


def test_failing_job(any_site: Site) -> None:
    """The script's exit status reaches the server; after_script still runs."""
    result = any_site.run(Job(["echo begun", "sh -c 'exit 42'", "echo not reached"], ["echo after-$CI_JOB_STATUS"]))
    assert (result.state, result.failure_reason, result.exit_code) == ("failed", "script_failure", 42), result.log
    assert "after-failed" in result.log and "\nnot reached" not in result.log
    assert any_site.traces() == []


def test_files_of_a_job_are_gone_in_the_next(any_site: Site) -> None:
    """Each job begins with the image as it is."""
    for _ in range(2):
        result = any_site.run(Job(["test ! -e /root/seen -a ! -e /usr/local/seen", "touch /root/seen /usr/local/seen"]))
        assert result.state == "success", result.log


def test_gitlab_config(site: Site) -> None:
    """What the config stage prints is what gitlab-runner wants, and is taken up by the job."""
    with site.started() as build:
        assert (build.builds_dir, build.cache_dir) == ("/builds", "/cache")
        assert build.driver["name"] == "nspawn-runner" and build.driver["version"]
        assert build.shared_builds_dir is False
        name = build.run_script("hostname").stdout.decode().strip()
        assert name == build.hostname != host.read("/etc/hostname").strip()


def test_file_variables_and_directories(any_boot_site: Site) -> None:
    """Variables of type file are paths in the container; project and cache directories can be written."""
    job = Job(["cat $SECRET_FILE; echo; mkdir -p /cache/x; ls -d /cache /builds"],
              variables=[("SECRET_FILE", "line 1\nline '2' $ü\n", False, True)])
    result = any_boot_site.run(job)
    assert result.state == "success", result.log
    assert "line 1\nline '2' \n" in result.log


class JobWithImage(Job):
    """One whose `image:` says more than a name."""

    def with_image(self, docker: dict[str, Any] | None = None, **options: Any) -> "JobWithImage":
        self.options = options | {"executor_opts": {"docker": docker or {}}}
        return self

    def payload(self) -> dict[str, Any]:
        payload = super().payload()
        payload["image"] |= self.options
        return payload


def test_image_options_are_not_ignored_silently(site: Site) -> None:
    """The job's log says once which words of `image:` have no effect; that of a job without them says nothing."""
    result = site.run(JobWithImage(["id -u"]).with_image({"platform": "linux/arm64"}, entrypoint=["/bin/false"]))
    assert result.state == "success", str(result)
    for word in "image:entrypoint", "image:docker:platform":
        assert result.log.count(f"'{word}' of the job is ignored") == 1, result.log
    assert "is ignored" not in site.run(JobWithImage().with_image({"user": ""}, entrypoint=[""], pull_policy=None)).log


def test_user_of_job(any_boot_site: Site) -> None:
    """Steps run as the user that the job chooses, by name or number, with variables; and can work in its project."""
    job = JobWithImage(["echo I-am-$(id -un):$(id -gn)-$(id -G); pwd; touch file ../other /cache/file"],
                       ["echo then-$(id -un)"],
                       variables=[("WHO", "nobody"), ("GROUP", "games")]).with_image({"user": "$WHO:${GROUP}"})
    result = any_boot_site.run(job)
    assert result.state == "success", str(result)
    assert "I-am-nobody:games-60" in result.log and "then-nobody" in result.log, result.log
    assert "is ignored" not in result.log
    result = any_boot_site.run(JobWithImage(["echo I-am-$(id -u)-$(id -g)"]).with_image({"user": 4711}))
    assert result.state == "success" and "I-am-4711-0" in result.log, str(result)


@pytest.mark.parametrize("user, why", (("nosuchuser", "the image has no such user or group"),
                                       ("nobody:nosuchgroup", "the image has no such user or group"),
                                       ("4000000", "jobs do not have users and groups with such numbers"),
                                       ("u" * 70_000, "longer than 256 bytes")),
                         ids=("user", "group", "number", "long"))
def test_user_that_is_not_there(site: Site, user: str, why: str) -> None:
    """The job fails, once, with a message that says so."""
    result = site.run(JobWithImage(["echo not-run"]).with_image({"user": user}))
    assert (result.state, result.failure_reason) == ("failed", "script_failure"), str(result)
    assert why in result.log and "not-run" not in result.log.replace("echo not-run", ""), result.log


def test_directories_of_the_runner(make_site: Callable[..., Site]) -> None:
    """With null, GitLab Runner's own directories are in effect, also for users that could not make them; without any,
    the job fails."""
    site = make_site(builds_dir=None, cache_dir=None)
    job = JobWithImage(["pwd; touch file"]).with_image({"user": "nobody"})
    result = site.run(job, builds_dir="/work/builds", cache_dir="/work/cache")
    assert result.state == "success" and "/work/builds/group/project" in result.log, str(result)
    result = site.run(Job())
    assert result.state == "failed" and result.message == "the builds_dir is not configured", str(result)
