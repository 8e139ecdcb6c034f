# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL to commands that administrators call, and to what works in the background: the next call succeeds, and nothing of
the killed one is left."""

import json
import os
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
from lab import IMAGE, Lab, Site
from maintenance import assert_settled, copy_of, define
from pace import PATIENCE, wait_until
from ociimage import Registry
from simulation.jobspec import Job

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not in PATH")

RENAME, FORK = "rename,renameat,renameat2", "clone,clone3,fork,vfork"
MAKE, REMOVE = "mkdir,mkdirat", "unlink,unlinkat,rmdir"


def killed(site: Site, calls: str, when: int, *arguments: str, env: dict[str, str] | None = None) -> bool:
    """Runs a command that dies at that system call. False: it made no such call, and ended by itself. What it had started
    has ended in both cases."""
    argv = site.argv(*arguments)
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                           f"inject={calls}:signal=KILL:when={when}", *argv], check=False, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    assert done.returncode in (0, -signal.SIGKILL), done
    wait_until(lambda: not [command for command in host.processes().values() if str(site.root) in command])
    return done.returncode != 0


def succeeds(site: Site, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What a command prints that succeeds."""
    done = site.call(*arguments, env=env)
    assert done.returncode == 0, str(done)
    return done.stdout


def test_push(make_site: Callable[..., Site], tiny_root: Path, registry: Registry) -> None:
    """The next push adds what is missing, also where the killed one had begun to."""
    site, reached = make_site(root=tiny_root), 0
    reference = f"{registry.host}/killed/push:1"
    for number, (calls, when) in enumerate(((MAKE, 2), (FORK, 1), (RENAME, 1), (FORK, 3))):
        (tiny_root / IMAGE / "pushed").write_text(str(number))
        reached += killed(site, calls, when, "chroot-push", IMAGE, reference, env=registry.environment())
        if number % 2:
            succeeds(site, "chroot-push", IMAGE, reference, env=registry.environment())
    succeeds(site, "gc")
    assert reached >= 3, "the points no longer fit what the program does"
    assert [path.name for path in (tiny_root / ".pushed").iterdir()] == [IMAGE]
    assert sorted(path.name for path in (tiny_root / ".pushed" / IMAGE).iterdir()) == ["bundle", "layout"]
    succeeds(site, "chroot-pull", reference, env=registry.environment())
    assert_settled(site)


def test_pull(make_site: Callable[..., Site], tiny_root: Path, registry: Registry) -> None:
    """There is the image or none; the next pull has it."""
    site, reached = make_site(root=tiny_root, pull="if-not-present"), 0
    reference = f"{registry.host}/killed/pull:1"
    succeeds(site, "chroot-push", IMAGE, reference, env=registry.environment())
    cache = tiny_root / ".oci"
    for number, (calls, when) in enumerate(((MAKE, 3), (FORK, 1), (FORK, 2), (RENAME, 1))):
        reached += killed(site, calls, when, "chroot-pull", reference, env=registry.environment())
        if number % 2:
            succeeds(site, "chroot-pull", reference, env=registry.environment())
        else:
            succeeds(site, "gc")
        assert not (cache / ".staging").exists() or not list((cache / ".staging").iterdir()), (calls, when)
        visible = [path.name for path in cache.iterdir() if path.name[0] != "."] if cache.exists() else []
        assert len(visible) in ((1,) if number % 2 else (0, 1)), visible
        host.remove_tree(cache)
    assert reached >= 3, "the points no longer fit what the program does"
    assert_settled(site)


@pytest.fixture(name="fresh")
def fixture_fresh(lab: Lab, make_site: Callable[..., Site], tmp_path: Path) -> Iterator[Site]:
    """A site without images, which has definitions that make them in no time; a token and a directory for config.toml."""
    site = make_site(root=tmp_path / "images", boot=False)
    for image in ("first", "helper"):
        define(site, image, command=copy_of(lab.tiny_image()))
    (tmp_path / "token").write_text("glrt-SECRET\n")
    (tmp_path / "gitlab-runner").mkdir()
    (tmp_path / "gitlab-runner/config.toml").write_text("concurrent = 4 # ours\n")
    yield site
    host.remove_tree(tmp_path / "images")


def setup_arguments(tmp_path: Path, *more: str) -> list[str]:
    """The call of `setup`."""
    return ["setup", "first", "--toml", str(tmp_path / "gitlab-runner/config.toml"), "--url", "https://gitlab.example.com",
            "--token-file", str(tmp_path / "token"), *more]


def runners(tmp_path: Path) -> list[str]:
    """Those that config.toml has. Nothing else is beside it, and what was there stayed."""
    toml = tmp_path / "gitlab-runner/config.toml"
    assert [path.name for path in toml.parent.iterdir()] == [toml.name]
    assert toml.read_text().startswith("concurrent = 4 # ours\n")
    config: dict[str, Any] = tomllib.loads(toml.read_text())
    return sorted(runner["name"] for runner in config.get("runners", []))


def test_setup(fresh: Site, tmp_path: Path) -> None:
    """config.toml is as it was, or has the runner: never a part. The next call leaves no copy of the token."""
    reached, expected = 0, []
    for calls, when in (("fchown", 1), ("fchmod", 1), ("fsync", 1), ("fsync", 2)):
        name = f"{calls}-{when}"
        reached += killed(fresh, calls, when, *setup_arguments(tmp_path, "--name", name))
        tomllib.loads((tmp_path / "gitlab-runner/config.toml").read_text())
        succeeds(fresh, *setup_arguments(tmp_path, "--name", name))
        expected.append(name)
        assert runners(tmp_path) == sorted(expected)
    assert reached >= 3, "the points no longer fit what the program does"


def test_two_setups_at_once(fresh: Site, tmp_path: Path) -> None:
    """Both runners are there, whole, and the image was made once."""
    processes = [subprocess.Popen(fresh.argv(*setup_arguments(tmp_path, "--name", name)), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for name in ("one", "two")]
    said = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert runners(tmp_path) == ["one", "two"], said
    assert sorted(path.name for path in fresh.root.iterdir() if path.name[0] != ".") == ["first", "helper"]
    assert_settled(fresh)


def test_emptying_the_trash(make_site: Callable[..., Site], tiny_root: Path) -> None:
    """The next one goes on."""
    site, trash = make_site(root=tiny_root), tiny_root / ".trash"
    for calls, when in (("flock", 1), ("flock", 2), (REMOVE, 1), (REMOVE, 5), (REMOVE, 20)):
        for job in "12":
            for number in range(10):
                (trash / f"{site.prefix}{job}-0badcafe.0123456789abcdef" / f"upper/{number}").mkdir(parents=True)
        assert killed(site, calls, when, "empty-trash", str(tiny_root)), (calls, when)
        assert list(trash.iterdir())
        succeeds(site, "empty-trash", str(tiny_root))
        assert not list(trash.iterdir()), (calls, when)


def test_measuring(make_site: Callable[..., Site], tiny_root: Path) -> None:
    """Sizes are right after the next time, whoever was killed while he measured, and whoever asked meanwhile."""
    site = make_site(root=tiny_root)
    assert site.run(Job(["mkdir -p /cache/a/b; head -c 1000000 /dev/zero >/cache/a/b/c"])).state == "success"
    (place,) = (tiny_root / ".caches").iterdir()
    before = {path.name for path in place.iterdir()}
    for calls, when in (("flock", 1), (RENAME, 1), ("openat", 25), ("openat", 30), ("getdents64", 1), ("getdents64", 3)):
        (place / "size").unlink(missing_ok=True)
        for arguments in (("measure-kept", str(tiny_root)), ("cache", "list"), ("df",)):
            killed(site, calls, when, *arguments)
        succeeds(site, "measure-kept", str(tiny_root))
        (row,) = json.loads(succeeds(site, "cache", "list", "--json"))["caches"]
        assert 1000000 <= row["size"] < 1100000, row
        assert {path.name for path in place.iterdir()} == before, (calls, when)


def test_copying(make_site: Callable[..., Site], tiny_root: Path, tmp_path: Path) -> None:
    """What is copied has its name only as far as it got, the job notices nothing, and another name has all of it."""
    site = make_site(root=tiny_root)
    with site.started() as build:
        build.run_script("mkdir -p /root/d/e; echo one >/root/d/one; echo two >/root/d/e/two; ln -s one /root/d/link")
        points = ((MAKE, 1), (MAKE, 2), ("copy_file_range,sendfile,write", 1), ("symlinkat", 1))
        for number, (calls, when) in enumerate(points):
            target = tmp_path / str(number)
            killed(site, calls, when, "job-copy", site.job_id(), "/root/d", str(target))
            assert {path.name for path in tmp_path.iterdir() if path.name.isdigit()} <= {str(n) for n in range(number + 1)}
            shutil.rmtree(target, ignore_errors=True)
            succeeds(site, "job-copy", site.job_id(), "/root/d", str(target))
            assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == ["e", "e/two", "link", "one"]
        assert build.run_script("cat /root/d/link").stdout == b"one\n"
