# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper image: GitLab Runner's own steps in another root than the job's, where the job's image lacks what they need."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import ociimage
from gitserver import GitServer, git_server
from lab import IMAGE, Lab, Site
from pace import wait_until
from simulation.build import Build, Failure
from simulation.jobspec import Job, Variable

SMALL = "small-image"
OWN = "get_sources"  # one of the stages that GitLab writes
PROJECT = "/builds/group/project"


@pytest.fixture(name="small", scope="module")
def fixture_small(lab: Lab) -> Iterator[Path]:
    """An image of busybox beside the Debian one: no bash, no git, no certificates."""
    tree = lab.root("overlay") / SMALL
    ociimage.busybox_root(tree)
    yield tree
    host.remove_tree(tree)


@pytest.fixture(name="helped")
def fixture_helped(make_site: Callable[..., Site], small: Path) -> Callable[..., Site]:
    """Makes sites whose default image, Debian, helps jobs with the small one."""
    assert small.is_dir()
    return lambda **settings: make_site(**{"network": "host", **settings})


@pytest.fixture(name="runner")
def fixture_runner(lab: Lab) -> Path:
    """A static program that stands for GitLab Runner's."""
    return lab.driver.parent / "tests" / "unit" / "gitlab-runner"


def project(server: GitServer, submodule: str = "", **kwargs: Any) -> Job:
    """A job of a project with a file `text`."""
    sha = server.add("project", {"text": "of the project\n"}, submodule)
    variables = [Variable("GIT_STRATEGY", "clone"), *kwargs.pop("variables", [])]
    return Job(image=SMALL, server=server.url, git={"sha": sha}, variables=variables, **kwargs)


def say(build: Build, script: str, stage: str = "build_script") -> str:
    """What a script prints in a stage."""
    return build.run_script(script, stage).stdout.decode()


@pytest.mark.host_matters
@pytest.mark.parametrize("tls", (False, True), ids=("http", "https"))
def test_sources(helped, tmp_path: Path, tls: bool) -> None:
    """A project is fetched into an image without git, with submodules; over TLS with a private authority, whose
    certificate is a variable of type file. The script sees it, and has no git."""
    with git_server(tmp_path / "git", tls) as server:
        server.add("part", {"inside": "of the submodule\n"})
        job = project(server, "part")
        if tls:
            authority = (tmp_path / "git/authority").read_text()
            job.variables.append(Variable("GIT_SSL_CAINFO", authority, file=True))
        job.script = ["cat text; command -v git || echo no git here", "stat -c '%U %a' text . ../project"]
        with helped().started(job) as build:
            build.run_stage("prepare_script")
            build.run_stage("get_sources")
            authority = f"export GIT_SSL_CAINFO={PROJECT}.tmp/GIT_SSL_CAINFO;" if tls else ""
            say(build, f"{authority} cd {PROJECT}; git submodule --quiet update --init", OWN)
            call = build.run_stage("step_script")
            assert call is not None
            for line in (b"of the project\n", b"no git here\n", b"root 644\nroot 755\n"):
                assert line in call.stdout, str(call)
            assert say(build, f"cat {PROJECT}/part/inside") == "of the submodule\n"


def test_large_files(helped, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A project with Git LFS: where the helper has git-lfs, it fetches the large files, and the script, which has no git, sees
    what is in them. Else it sees what the repository has in their place, as with Docker's executor."""
    packages = Path(request.config.getoption("--services-dir")).resolve() / "var/lib/packages/helper"
    large = {"image.bin": "large\n" * 40000, "other.bin": "another\n"}
    look = f"cd {PROJECT}; cat text; wc -c <image.bin; tail -n 1 image.bin; cat other.bin; command -v git || echo no git"
    with git_server(tmp_path / "git") as server:
        sha = server.add("project", {"text": "of the project\n"}, large=large)
        job = Job(image=SMALL, server=server.url, git={"sha": sha}, variables=[Variable("GIT_STRATEGY", "clone")])
        with helped(bind_ro=[f"{packages}:/packages"]).started(job) as build:
            build.run_stage("get_sources")
            seen = say(build, look).splitlines()
            assert seen[0] == "of the project" and seen[2] == "size 240000" and seen[-2:] == ["size 8", "no git"], seen
            assert server.downloads == []
            say(build, "dpkg --install /packages/git-lfs_*.deb", OWN)
            build.run_stage("get_sources")
            seen = say(build, look).splitlines()
            assert seen == ["of the project", "240000", "large", "another", "no git"], seen
        ids = [hashlib.sha256(text.encode()).hexdigest() for text in large.values()]
        assert sorted(server.downloads) == sorted(ids), server.downloads


@pytest.mark.host_matters
def test_whole_job(helped, tmp_path: Path, runner: Path) -> None:
    """All stages of a job of an image from a registry, whose user is not root, one after the other: project, cache and
    artifacts are that user's, and the scripts can change them."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "saved").write_text("of the cache\n")
    (cache / "saved").chmod(0o666)
    ociimage.busybox_layout(tmp_path / "layout", None, User="builder", Env=["PATH=/bin", "OF_IMAGE=yes"])
    with ociimage.registry(tmp_path / "registry") as registry, git_server(tmp_path / "git") as server:
        image = registry.push(tmp_path / "layout", "group/app:1")
        job = project(server, cache=[{"key": "k", "paths": ["cached"], "policy": "pull-push", "when": "on_success"}],
                      after_script=["ls -n text"])
        job.image = image
        job.script = ["cat text cached; id; env", "echo changed >text", "echo more >cached"]
        site = helped(pull="if-not-present", runner_program=str(runner), bind=[f"{cache}:/cache"])
        os.environ.update(registry.environment())
        try:
            result = site.run(job)
        finally:
            for name in registry.environment():
                del os.environ[name]
            host.remove_tree(site.root / ".oci")
    assert result.state == "success", result.log
    for text in ("of the project", "of the cache", "uid=1000(builder)", "OF_IMAGE=yes", "1000     1000"):
        assert text in result.log, result.log
    assert "Missing" not in result.log, result.log
    assert result.names().count("archive_cache") == 1 and (cache / "saved").read_text() == "more\n"


def test_which_stages(helped) -> None:
    """GitLab Runner's own steps are in the helper, with its environment; all others, known or not, in the image."""
    with helped().started(Job(image=SMALL)) as build:
        where = "[ -e /etc/debian_version ] && echo helper || echo image"
        for stage in ("prepare_script", "get_sources", "clear_worktree", "restore_cache", "download_artifacts",
                      "archive_cache", "archive_cache_on_failure", "upload_artifacts_on_success",
                      "upload_artifacts_on_failure", "cleanup_file_variables"):
            assert say(build, where, stage) == "helper\n", stage
        for stage in ("build_script", "step_release", "after_script", "step_get_sources", "unheard_of"):
            assert say(build, where, stage) == "image\n", stage


@pytest.mark.host_matters
def test_one_container(any_site: Site) -> None:
    """Same users, network, limits and filter; same processes, /tmp, /run and /dev; same hosts and resolv.conf. What is
    written elsewhere is the helper's, stays until the job ends, and is in neither image."""
    any_site.settings["helper_image"] = IMAGE
    any_site.write_config()
    with any_site.started() as build:
        facts = ("cat /etc/hosts /etc/resolv.conf /proc/self/uid_map /proc/self/cgroup; ls -i /tmp /dev/null; "
                 "for n in net pid ipc uts user cgroup; do readlink /proc/self/ns/$n; done; hostname; id; ulimit -a; "
                 "grep -E 'Seccomp|Cap' /proc/self/status")
        assert say(build, "touch /tmp/here; mkdir -p /builds; " + facts) == say(build, facts, OWN)
        say(build, "(sleep 1000 & echo $! >/tmp/pid) >/dev/null 2>&1; touch /marker /builds/mine", OWN)
        assert say(build, "kill -0 $(cat /tmp/pid) && ls -d /marker /builds/mine 2>&1 || true").split("\n")[-2:] == \
            ["/builds/mine", ""]
        assert say(build, "ls -d /marker; git config --global a.b c; git config a.b", OWN) == "/marker\nc\n"
        say(build, "kill $(cat /tmp/pid)")
    assert not (any_site.root / IMAGE / "marker").exists()


@pytest.mark.host_matters
@pytest.mark.parametrize("boot", ("no", "yes"))
def test_changes_of_the_container(helped, boot: str) -> None:
    """Later stages in the helper see what the job has mounted, replaced and made since the first one."""
    with helped(boot=boot, helper_image=IMAGE).started() as build:
        say(build, "mkdir -p /builds; echo first >/builds/file; touch /kept", OWN)
        say(build, "mkdir /builds/disk; mount -t tmpfs tmpfs /builds/disk; echo mounted >/builds/disk/file")
        assert say(build, "cat /builds/file /builds/disk/file; ls -d /kept", OWN) == "first\nmounted\n/kept\n"
        say(build, "umount /builds/disk; mv /builds /old; mkdir /builds; echo second >/builds/file; "
                   "echo 192.0.2.1 new >/etc/new; mv /etc/new /etc/hosts")
        assert say(build, "cat /builds/file /etc/hosts; ls -d /kept", OWN) == "second\n192.0.2.1 new\n/kept\n"
        say(build, "mount -t tmpfs tmpfs /tmp; echo covered >/tmp/file")
        assert say(build, "cat /tmp/file", OWN) == "covered\n"
        say(build, "echo back >/tmp/file", OWN)
        assert say(build, "cat /tmp/file") == "back\n"


def test_room(helped) -> None:
    """What the stages write in the helper's own directories has a limit, and room for as many files as memory has pages."""
    with helped().started(Job(image=SMALL)) as build:
        size, files = map(int, say(build, "stat -f -c '%b %S %c' / | { read b s c; echo $((b * s)) $c; }", OWN).split())
    assert size == 256 << 20 and files == size // 4096, (size, files)


def test_user(helped) -> None:
    """With a user of the job's, GitLab Runner's own steps have the same one, with a home to write to."""
    for user, home in (("builder", "/home/builder"), ("4321", "/")):
        job = Job(image=SMALL)
        payload = job.payload()
        payload["image"]["executor_opts"]["docker"]["user"] = user
        job.payload = lambda payload=payload: payload  # type: ignore[method-assign]
        with helped().started(job) as build:
            number = user if user.isdigit() else "1000"
            assert say(build, "id -u; umask; echo $HOME", OWN) == f"{number}\n0022\n{home}\n"
            say(build, "mkdir -p /builds/group; echo text >/builds/group/file", OWN)
            assert say(build, "stat -c %u /builds/group/file; echo more >>/builds/group/file; id -u") == \
                f"{number}\n{number}\n"
            if home != "/":
                say(build, "git config --global a.b c && [ -O ~/.gitconfig ]", OWN)


@pytest.mark.parametrize("what", ("none", "named", "missing", "helper", "nothing"))
def test_choice(make_site, tiny_root: Path, small: Path, what: str) -> None:
    """`none`; a name, for each job; a name that is none; an image called helper before the default image; neither."""
    where = "[ -e /of-helper ] && echo helper || echo image"
    shutil.copytree(small, tiny_root / SMALL, symlinks=True)
    if what in ("named", "helper", "none"):
        name = "other" if what == "named" else "helper"
        subprocess.run(["cp", "-a", tiny_root / IMAGE, tiny_root / name], check=True)
        (tiny_root / name / "of-helper").touch()
    settings = {"none": "none", "named": "other", "missing": "other"}
    site = make_site(root=tiny_root, **({"helper_image": settings[what]} if what in settings else {}))
    if what == "missing":
        result = site.run(Job(image=SMALL))
        assert (result.state, result.failure_reason) == ("failed", "runner_system_failure"), result.log
        assert "The setting helper_image names 'other'" in result.log, result.log
        return
    with site.started(Job(image=SMALL)) as build:
        assert say(build, where, OWN) == ("helper\n" if what in ("named", "helper") else "image\n")
        if what in ("none", "nothing"):
            with pytest.raises(Failure) as failure:
                build.run_script("git --version", OWN)
            assert f"GitLab Runner's own steps may need what image '{SMALL}' lacks: git" in str(failure.value.args), failure.value.args
            assert ("chroot-create helper" in str(failure.value.args)) == (what == "nothing"), failure.value.args
            with pytest.raises(Failure) as failure:
                build.run_script("git --version")
            assert "lacks" not in str(failure.value.args), "the job's own scripts know what is in its image"
    with site.started(Job(image=IMAGE)) as build:
        # It has no git, either; and a name is for all.
        assert say(build, where, OWN) == ("helper\n" if what in ("named", "helper") else "image\n")
    site.define(SMALL, "helper_image: none")
    with site.started(Job(image=SMALL)) as build:
        assert say(build, where, OWN) == "image\n"


def test_costs_nothing(helped) -> None:
    """The container of an image that has all that is needed has no helper."""
    with helped().started() as build:
        assert say(build, "ls -d /run/nspawn-runner-* 2>&1; [ -e /run/nspawn-runner-helper ] || echo none") == \
            "/run/nspawn-runner-agent\nnone\n"


def test_binds(helped, tmp_path: Path) -> None:
    """Whatever the configuration mounts into the container is there in the helper: directories, files, sockets."""
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text\n")
    site = helped(bind=[f"{tmp_path}/one:/srv/shared", f"{tmp_path}/two:/builds/cached"],
                  bind_ro=[f"{tmp_path}/three/file:/opt/single/file"])
    with site.started(Job(image=SMALL)) as build:
        assert say(build, "cat /srv/shared/file /builds/cached/file /opt/single/file; echo more >/srv/shared/new", OWN) \
            == "text\n" * 3
    assert (tmp_path / "one/new").read_text() == "more\n"


def is_locked(path: Path) -> bool:
    """Does anybody hold a lock on a directory?"""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


@pytest.mark.host_matters
@pytest.mark.parametrize("victim", ("run", "supervise", "container"))
def test_killed(helped, lab: Lab, victim: str) -> None:
    """The helper's image is locked as long as the container runs. Whatever is killed during a stage in it, cleanup finds
    its way, and the image is free again."""
    site = helped()
    image = lab.image()
    with site.started(Job(image=SMALL)) as build:
        assert is_locked(image)
        call = build.start_script("echo begun; while :; do sleep 0.1; done", OWN)
        while "begun" not in call.output:
            assert not call.wait(0.05), call.output
        if victim == "run":
            call.process.kill()
        elif victim == "supervise":
            os.kill(site.supervisor_pid(), signal.SIGKILL)
        else:
            os.kill(site.init_pid(), signal.SIGKILL)
        assert call.wait()
    wait_until(lambda: not is_locked(image))


HOSTILE = {
    "builds is a symlink": "rm -rf /builds; ln -s /etc /builds",
    "builds is a symlink to itself": "rm -rf /builds; ln -s /builds /builds",
    "builds is a pipe": "rm -rf /builds; mkfifo /builds",
    "tmp is a pipe": "mv /tmp /moved; mkfifo /tmp",
    "hosts is a pipe": "rm /etc/hosts; mkfifo /etc/hosts",
    "hosts is a directory": "rm /etc/hosts; mkdir /etc/hosts",
    "hosts is a device": "rm /etc/hosts; ln -s /dev/zero /etc/hosts",
    "resolv.conf leads nowhere": "rm -f /etc/resolv.conf; ln -s /nowhere /etc/resolv.conf",
    "etc is gone": "mv /etc /moved",
    "proc is covered": "mount -t tmpfs tmpfs /proc",
    "run is covered": "mount -t tmpfs tmpfs /run",
    "helper is gone": "umount -l /run/nspawn-runner-helper",
    "helper is covered": "mount -t tmpfs tmpfs /run/nspawn-runner-helper",
    "helper has a pipe for bash": "cd /run/nspawn-runner-helper; rm usr/bin/bash; mkfifo -m 755 usr/bin/bash",
    "helper has links to itself": "cd /run/nspawn-runner-helper; rm -rf builds etc; ln -s builds builds; ln -s etc etc",
    "helper has links to the outside": "cd /run/nspawn-runner-helper; rm -rf builds; ln -s ../../../etc builds",
    "helper has pipes": "cd /run/nspawn-runner-helper; rm -rf builds tmp; mkfifo builds tmp",
    "agent's directory is a pipe": "rm -rf /run/nspawn-runner; mkfifo /run/nspawn-runner",
}


OTHERWISE: dict[str, dict[str, Any]] = {
    "booted": {"boot": "yes", "helper_image": IMAGE}, "with ids of the host": {"private_users": False},
    "with sh": {"bash_program": "none"},
}
CASES = [(what, "usual") for what in HOSTILE] + [(what, how) for how in OTHERWISE for what in HOSTILE
                                                 if what in ("run is covered", "helper is gone",
                                                             "helper has a pipe for bash")]


@pytest.mark.parametrize("what, how", CASES, ids=[f"{what}, {how}".replace(" ", "-") for what, how in CASES])
def test_hostile_job(helped, what: str, how: str) -> None:
    """Whatever a job does to its container and to the helper's root: a stage there ends, well or with a message, and the
    agent goes on."""
    with helped(**OTHERWISE.get(how, {})).started(Job(image=IMAGE if how == "booted" else SMALL)) as build:
        call = build.start_script(f"mkdir -p /builds; {HOSTILE[what]}", raw=True)
        assert call.wait()
        try:
            build.run_script("echo ran", OWN)
        except Failure as failure:
            text = str(failure.args)
            assert any(part in text for part in ("helper image", "cannot run", "cannot start", "cannot read")), text
        if what != "run is covered":
            assert build.run_script("echo alive", raw=True).stdout == b"alive\n"
