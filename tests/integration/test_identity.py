# SPDX-License-Identifier: GPL-3.0-or-later
"""Which job is meant: response.json is believed, the job's own variables are not; names of images are checked."""

import json
import subprocess

import pytest

import host
from lab import IMAGE, Site
from simulation.build import Build
from simulation.jobspec import Job


@pytest.mark.host_matters
def test_forged_job_id(site: Site) -> None:
    """A job that sets CI_JOB_ID to another's number gets its own machine, and cleanup takes only that."""
    victim = Build(site.runner(), Job()).begin()
    victim.run_script("echo secret > /root/secret")
    thief = Job(variables=[("CI_JOB_ID", str(victim.job.number)), ("CI_JOB_TOKEN", victim.job.token),
                           ("JOB_RESPONSE_FILE", victim.tempdir + "/response.json"), ("TMPDIR", victim.tempdir)])
    build = Build(site.runner(), thief).begin()
    assert len(site.jobs()) == 2
    assert build.run_script("test -e /root/secret || echo mine").stdout == b"mine\n"
    assert build.cleanup().returncode == 0
    assert len(site.jobs()) == 1
    assert victim.run_script("cat /root/secret").stdout == b"secret\n"
    assert victim.cleanup().returncode == 0


def test_forged_job_image(site: Site, tiny_root, make_site) -> None:
    """CI_JOB_IMAGE in the job's variables does not choose the image; response.json's image.name does."""
    subprocess.run(["cp", "-a", tiny_root / IMAGE, tiny_root / "other"], check=True)
    (tiny_root / "other" / "etc" / "other").touch()
    tiny = make_site(root=tiny_root)
    with tiny.started(Job(image=IMAGE, variables=[("CI_JOB_IMAGE", "other")])) as build:
        assert build.run_script("test -e /etc/other || echo right").stdout == b"right\n"
    with tiny.started(Job(variables=[("CI_JOB_IMAGE", "other")])) as build:  # without image: the default
        assert build.run_script("test -e /etc/other || echo right").stdout == b"right\n"


def test_expanded_image_name(site: Site) -> None:
    """The runner expands variables in image: before we see it."""
    with site.started(Job(image="$WHICH", variables=[("WHICH", IMAGE)])) as build:
        assert build.run_script("echo up").stdout == b"up\n"


@pytest.mark.parametrize("name", ("/etc", "../debian", "a/b", "..", ".", ".hidden", ".layers", "debian/", "./debian",
                                  "deb\nian", "deb\x1bian", "deb\tian", "\x7f", "-debian", "--help", "x" * 300,
                                  "docker.io/library/debian:12", "*", "debian "))
def test_bad_image_name(site: Site, name: str) -> None:
    """Refused as the job's fault, without a retry; nothing is started; the message can be printed safely."""
    job = Job(image=name)
    result = site.run(job)
    assert (result.state, result.failure_reason) == ("failed", "script_failure"), str(result)
    assert result.names() == ["config", "prepare", "cleanup"]
    message = result.call("prepare").stderr.decode()
    assert "image" in message.lower() and not set(message) & {"\x1b", "\x7f", "\x00"}, message
    assert site.traces() == []


def test_bad_image_name_by_argument(site: Site) -> None:
    """The same for names given on the command line."""
    for name in ("../debian", "/", ".layers"):
        for arguments in (("prepare", name), ("prepare", "--default-image", name)):
            done = site.call(*arguments, "--id", "7")
            assert done.returncode in (1, 2) and name in done.stderr, str(done)
    assert site.traces() == []


@pytest.mark.parametrize("target", ("/", "/etc", "../..", "debian", "debian/usr/..", "no-such"))
def test_symlinked_image(make_site, tiny_root, target: str) -> None:
    """A symlink in the image root is no image, wherever it points."""
    (tiny_root / "link").symlink_to(target)
    site = make_site(root=tiny_root)
    result = site.run(Job(image="link"))
    assert result.failure_reason == "script_failure" and result.names() == ["config", "prepare", "cleanup"], str(result)
    assert "link" in result.log


def test_allowed_images(make_site, tiny_root) -> None:
    """allowed_images are globs; others are refused as the job's fault, although they exist."""
    subprocess.run(["cp", "-a", tiny_root / IMAGE, tiny_root / "web-1"], check=True)
    site = make_site(root=tiny_root, allowed_images=["web-*", "x"])
    refused = site.run(Job(image=IMAGE))
    assert refused.failure_reason == "script_failure" and "allowed" in refused.log, str(refused)
    with site.started(Job(image="web-1")) as build:
        assert build.run_script("echo up").stdout == b"up\n"


def test_images_with_the_hosts_root(make_site, tiny_root) -> None:
    """A definition with private_users: no is for the jobs that the administrator means: no pattern lets others in."""
    site = make_site(root=tiny_root, default_image=IMAGE)
    site.define(IMAGE, "private_users: no")
    for allowed in ([], ["*"], [f"{IMAGE[:-1]}?", "other"]):
        site.settings["allowed_images"] = allowed
        site.write_config()
        refused = site.run(Job(image=IMAGE))
        assert refused.failure_reason == "script_failure" and "root of the host" in refused.log, str(refused)
    site.settings["allowed_images"] = ["*", IMAGE]
    site.write_config()
    with site.started(Job(image=IMAGE)) as build:
        assert build.run_script("#!/bin/bash\nread a b c </proc/self/uid_map; echo $b\n", raw=True).stdout == b"0\n"
    site.settings["allowed_images"] = ["other"]
    site.write_config()
    with site.started(Job(image=None)) as build:
        assert build.run_script("echo default").stdout == b"default\n"


@pytest.mark.host_matters
def test_two_servers_with_one_number(site: Site) -> None:
    """Two GitLab instances (or two runners) may both have a job 123: each has its own machine."""
    number = Job().number
    one = Build(site.runner(), Job(number=number, server="https://one.example", token="one")).begin()
    two = Build(site.runner(), Job(number=number, server="https://two.example", token="two")).begin()
    assert len(site.jobs()) == 2
    for build, word in ((one, "first"), (two, "second")):
        build.run_script(f"echo {word} > /root/word")
    assert one.run_script("cat /root/word").stdout == b"first\n"
    assert one.cleanup().returncode == 0
    assert two.run_script("cat /root/word").stdout == b"second\n"
    assert two.cleanup().returncode == 0
    assert site.traces() == []


def test_same_job_in_all_stages(site: Site) -> None:
    """The id does not depend on what changes between calls: CI_JOB_STATUS, directories, the temporary directory."""
    with site.started(Job()) as build:
        first = site.job_id()
        build.job_status = "failed"
        build.refresh_variables()
        build.run_script("true")
        assert site.job_id() == first


@pytest.mark.host_matters
def test_next_attempt_replaces_the_machine(site: Site) -> None:
    """prepare of a job that has a machine already (a killed runner's, an earlier attempt's) starts afresh."""
    job = Job()
    one = Build(site.runner(), job).begin()
    one.run_script("touch /root/old")
    with site.started(job) as two:
        assert len(site.jobs()) == 1
        assert two.run_script("test -e /root/old || echo fresh").stdout == b"fresh\n"


BY_HAND = ("1", "build-7", "a.b", "a.b_c", "x" * 40, "ÄÖ", "with space", "a/b", "../../etc", "..", "", "-x", "a\nb",
           "$(id)", "%n%i", "x" * 1000, "UPPER", "a@b:c", "\\x2d")


@pytest.mark.host_matters
@pytest.mark.parametrize("identifier", BY_HAND)
def test_id_by_hand(site: Site, identifier: str) -> None:
    """--id without a response file (other CI systems): it works wholly, or is refused with a message; never half."""
    done = site.call("prepare", IMAGE, f"--id={identifier}")
    if done.returncode == 0:
        script = site.directory / "script"
        script.write_text("echo by-hand\n")
        ran = site.call("run", f"--id={identifier}", str(script), "build_script")
        assert (ran.returncode, ran.stdout) == (0, "by-hand\n"), ran
        assert site.call("cleanup", f"--id={identifier}").returncode == 0
    else:
        assert done.returncode == 2 and " id " in done.stderr.lower() and "Starting" not in done.stderr, str(done)
        assert site.call("cleanup", f"--id={identifier}").returncode in (0, 1, 2)
    assert site.traces() == []
    assert identifier not in ("1", "build-7", "a.b") or done.returncode == 0, done.stderr


@pytest.mark.host_matters
def test_different_ids_are_different_jobs(site: Site) -> None:
    """Ids that differ only in odd characters or beyond some length do not fall together."""
    pairs = (("a-b", "a_b"), ("a.b", "a-b"), ("A", "a"), ("y" * 100 + "1", "y" * 100 + "2"))
    for one, two in pairs:
        done = [site.call("prepare", IMAGE, "--id", identifier) for identifier in (one, two)]
        if all(call.returncode == 0 for call in done):
                assert len(site.jobs()) == 2, (one, two, site.jobs())
        for identifier in (one, two):
            site.call("cleanup", "--id", identifier)
        assert site.traces() == []


def test_id_from_variable(site: Site) -> None:
    """Without response file and --id: CUSTOM_ENV_CI_JOB_ID, as the Python original had it."""
    number = str(Job().number)
    env = {"CUSTOM_ENV_CI_JOB_ID": number, "CUSTOM_ENV_CI_JOB_IMAGE": IMAGE}
    assert site.call("prepare", env=env).returncode == 0
    script = site.directory / "script"
    script.write_text("echo by-variable\n")
    assert site.call("run", str(script), "x", env=env).stdout == "by-variable\n"
    assert site.call("cleanup", env=env).returncode == 0
    assert site.traces() == []


def test_no_identity(site: Site) -> None:
    """Nothing that names the job: a message that says what is missing."""
    for command in (["prepare", IMAGE], ["run", "/dev/null", "x"]):
        done = site.call(*command)
        assert done.returncode == 2 and "id" in done.stderr.lower(), str(done)


@pytest.mark.parametrize("content", ("", "{", "[]", "null", "{}", '{"id": "7"}', '{"id": -1}', '{"id": 1.5}',
                                     '{"id": 99999999999999999999}', '{"id": 7, "image": "debian"}',
                                     '{"id": 7, "image": {"name": 7}}', "\x00\x01", '{"id": 7' + " " * 100_000,
                                     '{"id":7,"image":' + '{"name":' * 5000))
def test_malformed_response_file(site: Site, content: str) -> None:
    """A response file that is not one: a system failure that names it, whatever variables say."""
    file = site.directory / "response.json"
    file.write_text(content)
    env = {"JOB_RESPONSE_FILE": str(file), "CUSTOM_ENV_CI_JOB_ID": "7", "CUSTOM_ENV_CI_JOB_IMAGE": IMAGE}
    done = site.call("prepare", "--default-image", IMAGE, env=env)
    assert done.returncode == 2 and str(file) in done.stderr, str(done)
    assert site.traces() == []


def test_missing_response_file(site: Site) -> None:
    """JOB_RESPONSE_FILE that does not exist is an error, not a reason to believe variables."""
    env = {"JOB_RESPONSE_FILE": "/no/such/response.json", "CUSTOM_ENV_CI_JOB_ID": "7"}
    done = site.call("prepare", IMAGE, env=env)
    assert done.returncode == 2 and "/no/such/response.json" in done.stderr, str(done)
    assert site.traces() == []


def test_secrets_are_not_logged(site: Site) -> None:
    """Not even with --debug do the job's token and variables appear in what we print or keep."""
    job = Job(variables=[("PASSWORD", "hunter2-hunter2")])
    build = Build(site.runner(), job)
    build.runner.prepare_exec = site.argv("--debug", "prepare", "--default-image", IMAGE)
    build.begin()
    texts = [build.log.decode(), json.dumps(site.call("status", "--json").stdout)]
    texts += [host.read(path) for path in (site.runtime_dir / "jobs").rglob("*")]
    assert any(site.machine() in text for text in texts[2:])  # files are read
    for pid in site.job_pids():
        texts += [host.read(f"/proc/{pid}/{name}") for name in ("cmdline", "environ")]
    for text in texts:
        assert "hunter2" not in text and job.token not in text
    build.cleanup()
