# SPDX-License-Identifier: GPL-3.0-or-later
"""status: the jobs there are. gc: what no living job owns."""

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab import IMAGE, Site
from maintenance import running, wait_until
from simulation.build import Build, Failure
from simulation.jobspec import Job

pytestmark = pytest.mark.host_matters


def rows(site: Site) -> list[dict]:
    """What status --json lists of this site's jobs (others may run on this host, and be half there)."""
    done = site.call("status", "--json")
    assert done.returncode == 0, str(done)
    return [row for row in json.loads(done.stdout)["jobs"] if re.fullmatch(site.id_pattern(), row["id"])]


def listing(site: Site, *options: str) -> str:
    """What gc says that it removes, or would."""
    done = site.call("gc", *options)
    assert done.returncode == 0, str(done)
    return done.stdout + done.stderr


def test_status(any_boot_site: Site) -> None:
    """A row for each job, with what an administrator asks for; nothing when there is none."""
    site = any_boot_site
    assert rows(site) == []
    assert site.call("status").returncode == 0
    with site.started(Job(image=IMAGE)) as build:
        (row,) = rows(site)
        assert {"id", "image", "since", "boot", "state", "memory"} <= row.keys(), row
        assert row["id"] == site.job_id() and row["image"] == IMAGE
        assert row["id"].startswith(str(build.job.number))
        assert row["boot"] in ((True, "yes", "systemd") if site.settings["boot"] == "yes" else (False, "no")), row
        assert "run" in str(row["state"]), row
        table = site.call("status").stdout
        assert row["id"] in table and IMAGE in table
    assert rows(site) == []


def test_status_of_a_dead_job(site: Site) -> None:
    """A job whose container has gone is shown as such until it is cleaned up."""
    build = Build(site.runner(), Job()).begin()
    alive = str(rows(site)[0]["state"])
    for pid in site.job_pids():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 60
    while site.job_pids():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    listed = rows(site)
    assert listed == [] or str(listed[0]["state"]) != alive
    build.cleanup()


def test_gc_leaves_living_jobs_alone(any_boot_site: Site) -> None:
    """gc beside running jobs removes nothing of theirs."""
    with any_boot_site.started() as build:
        build.run_script("echo x > /root/x; sleep 1000 >/dev/null 2>&1 &")
        before = set(any_boot_site.container_pids())
        done = any_boot_site.call("gc")
        assert done.returncode == 0, str(done)
        assert build.run_script("cat /root/x").stdout == b"x\n"
        assert before <= set(any_boot_site.container_pids())


def test_other_installations(make_site, tiny_root) -> None:
    """Jobs of another configuration on the same host are not removed, not even where both have one image root;
    with another image root they are not listed either."""
    one, same_root, other_root = make_site(), make_site(), make_site(root=tiny_root)
    with one.started() as build:
        assert one.job_id() not in other_root.call("status", "--json").stdout
        for other in (same_root, other_root):
            assert one.job_id() not in listing(other, "--dry-run") + listing(other)
            assert other.run(Job()).state == "success"
            assert one.job_id() in [row["id"] for row in rows(one)]
        assert build.run_script("echo still").stdout == b"still\n"


def delayed(call: str, path: Path, seconds: float) -> list[str]:
    """What has the first such system call on @path wait before it is made."""
    return ["strace", "-D", "-qq", "-o", "/dev/null", "-P", str(path), "-e", f"trace={call}",
            "-e", f"inject={call}:delay_enter={int(seconds * 1e6)}:when=1"]


def test_layer_taken_up_while_gc_looks(make_site, tiny_root) -> None:
    """The layer of a job that another configuration with the same images starts just when gc took it for a dead one's:
    neither is it removed, nor does gc's own configuration get a job of that name."""
    site = make_site(root=tiny_root)
    with site.started():
        pass
    layer, state = tiny_root / ".layers/4711-0badcafe", site.runtime_dir / "jobs/4711-0badcafe"
    layer.mkdir()
    with subprocess.Popen([*delayed("flock", state, 2), *site.argv("gc")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gc:
        wait_until(state.exists, 60)
        descriptor = os.open(layer, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        output = gc.communicate(timeout=60)[0]
        assert "4711" not in output and gc.returncode == 0, output
    assert layer.exists() and not state.exists()
    os.close(descriptor)
    assert "4711-0badcafe" in listing(site)


@pytest.mark.parametrize("removed", (False, True), ids=("looked at", "removed"))
def test_new_layer_taken_for_dead(make_site, tiny_root, removed: bool) -> None:
    """The other side of it: prepare has not yet locked its new layer when another configuration's gc does, and removes
    it or not."""
    site = make_site(root=tiny_root)
    with site.started():
        pass
    site.ids.add("new")
    layer = tiny_root / ".layers/new"
    with subprocess.Popen([*delayed("flock", layer, 2), *site.argv("prepare", "--id", "new", IMAGE)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as prepare:
        wait_until(layer.exists, 60)
        descriptor = os.open(layer, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(2.5)
        if removed:
            layer.rmdir()
        os.close(descriptor)
        output = prepare.communicate(timeout=60)[0]
        assert prepare.returncode == 0, output
    assert site.call("cleanup", "--id", "new").returncode == 0


def test_machine_of_a_command_begins(make_site, tiny_root) -> None:
    """What chroot-run and the like start is no dead job for another configuration, from the first moment on."""
    site, other = make_site(root=tiny_root), make_site()
    slow = ["strace", "-f", "-D", "-qq", "-o", "/dev/null", "-P", str(site.lab.driver), "-e", "trace=execve",
            "-e", "inject=execve:delay_enter=1500000"]
    with subprocess.Popen([*slow, *site.argv("chroot-run", IMAGE, "--", "/bin/true")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while process.poll() is None:
            assert other.call("gc").returncode == 0
        assert process.returncode == 0 and process.stdout, process.stdout and process.stdout.read()


def test_other_image_root(make_site, tiny_root) -> None:
    """Jobs of a configuration with the same state and other images, as a call with --root has them, are not removed."""
    one = make_site()
    other = make_site(root=tiny_root, runtime_dir=one.settings["runtime_dir"])
    with one.started() as build:
        assert one.job_id() not in listing(other, "--dry-run") + listing(other)
        assert other.run(Job()).state == "success"
        assert one.job_id() in [row["id"] for row in rows(one)]
        assert build.run_script("echo still").stdout == b"still\n"


def test_gc_dry_run(make_site, tiny_root) -> None:
    """--dry-run lists what gc then removes, and removes nothing."""
    site = make_site(root=tiny_root)
    assert "4711" not in listing(site, "--dry-run")
    layer = tiny_root / ".layers" / "4711-0badcafe"
    (layer / "upper/root").mkdir(parents=True)
    os.chown(layer / "upper", 1 << 20, 1 << 20)
    assert "4711-0badcafe" in listing(site, "--dry-run")
    assert layer.exists()
    assert "4711-0badcafe" in listing(site)
    assert not layer.exists()
    assert "4711" not in listing(site, "--dry-run")
    assert (tiny_root / IMAGE / "usr/bin/bash").exists()


def test_gc_with_nothing_there(site: Site) -> None:
    """Nothing to do: exit 0, quiet."""
    done = site.call("gc")
    assert (done.returncode, done.stdout) == (0, ""), str(done)


@pytest.mark.parametrize("foreign", ("file", "symlink", "socket-directory"))
def test_gc_and_strange_things(make_site, tiny_root, foreign: str) -> None:
    """What somebody else put among layers and jobs does not confuse gc, and a symlink is not followed."""
    site = make_site(root=tiny_root)
    with site.started():
        pass
    outside = site.directory / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    for directory in (tiny_root / ".layers", site.runtime_dir / "jobs"):
        directory.mkdir(exist_ok=True)
        entry = directory / "12-aaaaaaaa"
        if foreign == "file":
            entry.touch()
        elif foreign == "symlink":
            entry.symlink_to(outside)
        else:
            (entry / "agent.sock").mkdir(parents=True)
    site.call("gc")
    assert (outside / "precious").exists()
    result = site.run(Job())
    assert result.state == "success", str(result)
    for directory in (tiny_root / ".layers", site.runtime_dir / "jobs"):
        subprocess.run(["rm", "-rf", directory / "12-aaaaaaaa"], check=True)


def test_prepare_does_the_cheap_part(make_site, tiny_root) -> None:
    """Layers of jobs that died go with the next prepare, so that nobody needs to call gc."""
    site = make_site(root=tiny_root)
    dead = Build(site.runner(), Job()).begin()
    for pid in site.job_pids():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 60
    while site.job_pids():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    dead.cleanup_temporary()
    with site.started():
        assert len(site.layers()) in (1, 2)
    assert site.call("gc").returncode == 0
    assert site.traces() == []


def test_prepare_leaves_what_explains(make_site, tiny_root) -> None:
    """A machine that ended by itself is not cleared away by the next job's prepare: the next step says what happened."""
    site = make_site(root=tiny_root)
    with running(site, IMAGE) as build:
        (job,) = site.jobs()
        ended = site.runtime_dir / "jobs" / job / "ended"
        os.kill(min(site.container_pids()), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while not ended.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with running(site, IMAGE):
            assert len(site.jobs()) == 2
        with pytest.raises(Failure, match="does not run any more\nThe machine ended: "):
            build.run_script("true")
        # That is for a while only.
        os.utime(ended, (0, 0))
        with running(site, IMAGE):
            assert job not in site.jobs()
