# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole job, from config to cleanup, in each combination of storage, user namespace and boot mode."""

import pytest

import host
from lab import IMAGE, Lab, Site
from simulation.jobspec import Job

pytestmark = pytest.mark.host_matters

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


class JobWithImageOptions(Job):
    """One whose `image:` says what this driver does not do."""

    def payload(self) -> dict:
        payload = super().payload()
        payload["image"] |= {"entrypoint": ["/bin/false"], "executor_opts": {"docker": {"user": "nobody"}}}
        return payload


def test_image_options_are_not_ignored_silently(site: Site) -> None:
    """The job's log says which words of `image:` have no effect; that of a job without them says nothing."""
    result = site.run(JobWithImageOptions(["id -u"]))
    assert result.state == "success", str(result)
    assert "'image:entrypoint' of the job is ignored" in result.log, result.log
    assert "'image:docker:user' of the job is ignored" in result.log, result.log
    assert "is ignored" not in site.run(Job()).log
