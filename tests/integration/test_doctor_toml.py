# SPDX-License-Identifier: GPL-3.0-or-later
"""doctor: can jobs run here, and if not, why. toml: the section for gitlab-runner's configuration."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest

import host
from lab import IMAGE, KEPT, Site
from simulation.jobspec import Job

pytestmark = pytest.mark.supervisor_matters


def test_doctor_on_a_good_host(site: Site) -> None:
    """Jobs run here, so doctor says so: one line for each check, exit 0."""
    done = site.call("doctor")
    assert done.returncode == 0, str(done)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert len(lines) > 8
    for word in ("systemd-nspawn", "overlay", "seccomp", "user", str(site.root)):
        assert word in done.stdout, (word, done.stdout)
    assert ("not PID 1" in done.stdout) != host.has_systemd()


def test_doctor_names_what_is_missing(make_site, tmp_path: Path) -> None:
    """A program that is not there: what it is for, and which package has it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in os.listdir("/usr/bin"):
        if name not in ("systemd-nspawn", "mmdebstrap", "debootstrap"):
            (tools / name).symlink_to(f"/usr/bin/{name}")
    done = make_site().call("doctor", env={"PATH": str(tools)})
    assert done.returncode == 1, str(done)
    assert "systemd-container" in done.stdout and "mmdebstrap" in done.stdout, done.stdout


def test_doctor_without_library(site: Site, tmp_path: Path) -> None:
    """The library that systemd-nspawn is started with is not there, or has a path that cannot be used: jobs run, and
    share what the kernel counts."""
    assert "for each job" in site.call("doctor").stdout
    for directory in ("bin", "with blank"):
        (tmp_path / directory).mkdir()
        for name in ("nspawn-runner", "nspawn-runner-agent", *["nspawn-runner-userns.so"][:directory != "bin"]):
            shutil.copy2(site.lab.driver.parent / name, tmp_path / directory)
        done = subprocess.run([tmp_path / directory / "nspawn-runner", *site.argv("doctor")[1:]], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0 and "nspawn-runner-userns.so: neither" in done.stdout, done.stdout
        assert "for root of the host and all jobs together" in done.stdout


def test_doctor_missing_root(make_site, tmp_path: Path) -> None:
    """An image root that is not there yet is named; a relative complaint helps nobody."""
    root = tmp_path / "images"
    done = make_site(root=root).call("doctor")
    assert str(root) in done.stdout and not root.exists()


def test_doctor_on_what_is_open(make_site) -> None:
    """What works and should not surprise anybody: root of the host, set-user-ID programs of images, processes."""
    def line(name: str, **settings) -> str:
        site.settings.update(settings)
        site.write_config()
        (found,) = [line for line in site.call("doctor").stdout.splitlines() if line[9:].startswith(f"{name}:")]
        return found

    root = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        site = make_site(root=root)
        assert line("host's root").startswith("ok ")
        site.define("kernel", "private_users: no")
        site.define("closed", "private_users: yes")
        assert "'kernel': root of its jobs" in line("host's root", allowed_images=["*"])
        assert "'kernel' (jobs may choose it): root of its jobs" in line("host's root", allowed_images=["kernel"])
        both = line("host's root", allowed_services=["kernel"])
        assert "'kernel' (jobs may choose it, also as a service): root of its jobs" in both
        assert "'kernel' (jobs may choose it as a service): root" in line("host's root", allowed_images=["*"])
        assert "every job" in line("host's root", private_users=False)

        root.chmod(0o755)
        assert line("set-user-ID programs").startswith("note ") and str(root) in line("set-user-ID programs")
        root.chmod(0o700)
        assert line("set-user-ID programs").startswith("ok ")

        host_has = int(host.read("/proc/sys/kernel/pid_max"))
        assert line("processes", tasks_max=10).startswith("ok ")
        assert line("processes", tasks_max=host_has).startswith("note ")
        assert "infinity" in line("processes", tasks_max="infinity")
    finally:
        host.remove_tree(root)


def lines_of(site: Site) -> dict[str, str]:
    """What doctor prints on a host on which jobs can run: the lines, by what they are about."""
    done = site.call("doctor")
    assert done.returncode == 0, str(done)
    return {line[9:].partition(":")[0].partition(";")[0]: line for line in done.stdout.splitlines() if line[9:]}


@pytest.mark.parametrize("storage", ("overlay", "btrfs", "tmpfs"))
def test_doctor_tries_the_storage(make_site, storage: str) -> None:
    """With a user namespace, as jobs have it, on each file system that jobs can run on."""
    site = make_site(storage=storage)
    assert lines_of(site)["storage"].startswith(f"ok       storage: {storage}")
    assert site.traces() == []


def test_doctor_reads_definitions(make_site, tiny_root: Path) -> None:
    """Broken ones are named, with file and line; the others are counted."""
    site = make_site(root=tiny_root)
    site.define("good", "boot: no")
    assert lines_of(site)["definitions"] == "ok       definitions: 1"
    bad = site.define("bad", "boot: no", "storage: floppy"), site.define("worse", "nonsense: 1")
    (site.definitions / "of@1@2.yaml").write_text("")
    line = lines_of(site)["definitions"]
    assert line.startswith("note") and f"{bad[0]}:4:" in line and f"{bad[1]}:3:" in line and "good" not in line, line


def test_doctor_looks_for_gitlab_runner(make_site, tiny_root: Path) -> None:
    """Jobs get the one that calls us. If they must not, it has to be there by a bind or in the image."""
    assert lines_of(make_site(root=tiny_root))["gitlab-runner in jobs"].startswith("ok"), "it is what calls us"
    site = make_site(root=tiny_root, runner_program="none")
    runner = site.directory / "gitlab-runner"
    runner.touch(0o755)
    line = lines_of(site)["gitlab-runner in jobs"]
    assert line.startswith("note") and f"jobs of image '{IMAGE}' do not have it" in line and "runner_program" in line, line
    site.define(IMAGE, f"bind_ro: ['{runner}:/usr/local/bin/gitlab-runner']")
    assert lines_of(site)["gitlab-runner in jobs"].startswith("ok")
    site.define(IMAGE, f"bind_ro: ['{runner.parent}:/opt/bin']")
    assert lines_of(site)["gitlab-runner in jobs"].startswith("note")
    (tiny_root / IMAGE / "usr/bin/gitlab-runner").symlink_to(runner)
    assert lines_of(site)["gitlab-runner in jobs"].startswith("note"), "a symlink that leads nowhere in a job"
    (tiny_root / IMAGE / "usr/bin/gitlab-runner").unlink()
    (tiny_root / IMAGE / "usr/bin/gitlab-runner").touch(0o755)
    assert lines_of(site)["gitlab-runner in jobs"].startswith("ok")
    site.define(IMAGE, f"runner_program: {runner}")
    assert lines_of(site)["gitlab-runner in jobs"].startswith("ok")
    runner.chmod(0o700)
    line = lines_of(site)["gitlab-runner in jobs"]
    assert line.startswith("note") and "not everybody may read and execute it" in line, line


def test_doctor_looks_for_a_helper_image(make_site, tiny_root: Path) -> None:
    """One called so, a default image that will do, or another one that the configuration names."""
    assert lines_of(make_site(root=tiny_root, default_image=IMAGE))["helper image"].startswith("note"), "it has no git"
    assert lines_of(make_site(default_image=IMAGE))["helper image"] == f"ok       helper image: {IMAGE}"
    assert lines_of(make_site(root=tiny_root, helper_image="none"))["helper image"] == "ok       helper image: none"
    shutil.copytree(tiny_root / IMAGE, tiny_root / "helper", symlinks=True)
    assert lines_of(make_site(root=tiny_root))["helper image"] == "ok       helper image: helper"


def test_doctor_looks_for_static_bash(make_site, tiny_root: Path) -> None:
    """Found where Debian's package has it, which the tests need."""
    line = lines_of(make_site(root=tiny_root))["bash-static"]
    assert line.startswith("ok") and line.endswith("/bash-static"), line


def test_doctor_looks_at_networks(make_site, tiny_root: Path) -> None:
    """How many jobs have addresses, of how many there are, and whether services are possible."""
    lines = lines_of(make_site(root=tiny_root, network="private", network_pool="10.199.0.0/24"))
    assert re.search(r"\d+ of 4 in use, of 10.199.0.0/24", lines["addresses of jobs"]), lines
    assert lines["services of jobs"].startswith("ok"), lines
    lines = lines_of(make_site(root=tiny_root, network="host"))
    assert lines["services of jobs"].startswith("note") and "jobs with services fail" in lines["services of jobs"], lines


def test_doctor_leaves_nothing(site: Site) -> None:
    """It tries kernel features; nothing of that stays."""
    temporary, before = site.directory / "tmp", set(os.listdir(site.root))  # which is its TMPDIR
    site.call("doctor")
    assert set(os.listdir(site.root)) - KEPT == before - KEPT and os.listdir(temporary) == []
    assert site.traces() == []  # mounts among them


def test_doctor_as_user(site: Site) -> None:
    """Without root it checks what it can and says what it needs."""
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *site.argv("doctor")],
                          capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1 and "ask again as root" in done.stdout and "modprobe" not in done.stdout, str(done)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *site.argv("status")],
                          capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 1 and "Only root can do this" in done.stderr, str(done)


def test_toml(site: Site) -> None:
    """Valid TOML with absolute paths; played by the runner as it stands, a job succeeds."""
    done = site.call("toml", IMAGE)
    assert done.returncode == 0, str(done)
    (runner,) = tomllib.loads(done.stdout)["runners"]
    custom = runner["custom"]
    assert runner["executor"] == "custom" and "#" in done.stdout
    assert "builds_dir" not in runner and "cache_dir" not in runner  # they would have no effect
    argv = {}
    for stage, command in (("config", "gitlab-config"), ("prepare", "prepare"), ("run", "run"), ("cleanup", "cleanup")):
        assert os.path.isabs(custom[f"{stage}_exec"]) and command in custom[f"{stage}_args"], custom
        argv[f"{stage}_exec"] = [custom[f"{stage}_exec"], *custom[f"{stage}_args"]]
    assert "--default-image" in custom["prepare_args"] and IMAGE in custom["prepare_args"]
    result = site.run(Job(["echo by-toml"]), **argv)
    assert result.state == "success" and "by-toml" in result.log, str(result)


def test_toml_without_name(make_site, tiny_root: Path) -> None:
    """Without a name the default image, or a comment on what to fill in; always valid."""
    for settings in ({}, {"default_image": IMAGE}):
        done = make_site(root=tiny_root, **settings).call("toml")
        assert done.returncode == 0, str(done)
        (runner,) = tomllib.loads(done.stdout)["runners"]
        assert runner["custom"]["prepare_exec_timeout"] == 3600, "jobs may be allowed to fetch images later"


def test_toml_leaves_out_the_helper(make_site, tiny_root: Path) -> None:
    """Where `setup` was called, there is a helper image: the other one is the default image of jobs."""
    shutil.copytree(tiny_root / IMAGE, tiny_root / "helper", symlinks=True)
    site = make_site(root=tiny_root)
    for image in (IMAGE, None):
        (runner,) = tomllib.loads(site.call("toml").stdout)["runners"]
        prepare = runner["custom"]["prepare_args"]
        assert ("--default-image" in prepare) == bool(image) and (not image or prepare[-1] == image), (image, prepare)
        shutil.rmtree(tiny_root / IMAGE, ignore_errors=True)


def test_references(make_site, tiny_root: Path) -> None:
    """Images of registries, which jobs have fetched, and old generations can be the default, too."""
    reference = "registry.example/group/name:1"
    for settings, arguments in (({"default_image": reference}, []), ({}, [reference])):
        site = make_site(root=tiny_root, pull="if-not-present", **settings)
        done = site.call("toml", *arguments)
        assert done.returncode == 0 and f'"{reference}"' in done.stdout, str(done)
        (runner,) = tomllib.loads(done.stdout)["runners"]
        assert runner["custom"]["prepare_exec_timeout"] == 3600, "fetching takes its time"
        assert "is not there" not in site.call("doctor").stdout
    site = make_site(root=tiny_root, default_image=f"{IMAGE}@7")
    assert site.call("toml").returncode == 1 and f"default_image '{IMAGE}@7' is not there" in site.call("doctor").stdout


def test_toml_odd_names(make_site, tiny_root: Path) -> None:
    """Names are quoted as TOML wants it."""
    (tiny_root / IMAGE).rename(tiny_root / 'a "b" c')
    done = make_site(root=tiny_root).call("toml", 'a "b" c')
    if done.returncode == 0:
        assert 'a "b" c' in json.dumps(tomllib.loads(done.stdout)).replace('\\"', '"')
    else:
        assert done.stderr


def test_toml_no_such_image(site: Site) -> None:
    """An image that is not there is worth an error, or at least a word."""
    done = site.call("toml", "no-such")
    assert "no-such" in done.stderr, str(done)
