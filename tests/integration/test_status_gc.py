# SPDX-License-Identifier: GPL-3.0-or-later
"""status lists the jobs that exist; gc cleans up after dead ones."""

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

import host
from lab import IMAGE, Site
from maintenance import running
from pace import wait_until
from simulation.build import Build, Failure
from simulation.jobspec import Job
from terminal import Terminal

pytestmark = pytest.mark.supervisor_matters


def rows(site: Site) -> list[dict]:
    """What status --json lists: this site's jobs, whatever others there are on this host."""
    done = site.call("status", "--json")
    assert done.returncode == 0, str(done)
    return json.loads(done.stdout)["jobs"]


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
        assert (row["project"], row["job"], row["stage"]) == ("group/project", build.job.name, "test"), row
        assert (row["user"], row["url"]) == ("somebody", build.variable("CI_JOB_URL")), row
        assert isinstance(row["disk"], int) and row["kept_until"] is None and "age" not in row, row
        if host.has_systemd():
            text = subprocess.check_output(["systemctl", "show", "--value", "-p", "Description", site.machine()], text=True)
            assert f"{build.job.number} '{build.job.name}' of group/project, image {IMAGE}" in text
    assert rows(site) == []


def shown(site: Site, columns: int, *options: str) -> list[str]:
    """The lines of the table in a window of that width."""
    script = f"{shlex.join(site.argv('status', *options))} > \"$(tty)\"; echo en'd'"
    with Terminal(["/bin/sh", "-c", f"stty cols {columns} -onlcr; {script}"], columns=columns) as terminal:
        text = terminal.expect("end")
        terminal.wait()
    return text.splitlines()


def test_status_fits(site: Site) -> None:
    """In a window all lines fit, and what matters most is left; in a pipe all is there."""
    name = "build: [" + "ä" * 40 + ", \x1b[31mred]"
    with site.started(Job(image=IMAGE, name=name)) as build:
        url = build.variable("CI_JOB_URL")
        wide = site.call("status").stdout.splitlines()
        assert "ä" * 40 + ", ?[31mred]" in wide[1] and url in wide[1] and "AGE" in wide[0].upper(), wide
        for columns in (200, 80, 40):
            lines = shown(site, columns)
            assert len(lines) == 2 and max(map(len, lines)) <= columns, lines
            assert build.job.name[:3] in lines[1] if columns > 40 else "running" in lines[1], lines
            assert site.job_id() in lines[1] and ("ä…" in lines[1] or columns != 80), lines
        with Terminal(site.argv("status", "--watch")) as terminal:
            terminal.expect("\x1b[H\x1b[J")
            terminal.expect("running")
            terminal.expect("\x1b[H\x1b[J")
            terminal.expect("running")
            terminal.type("\x03")
            assert terminal.wait() == -signal.SIGINT


def test_status_of_a_dead_job(site: Site) -> None:
    """A job whose container has gone is shown as such until it is cleaned up."""
    build = Build(site.runner(), Job()).begin()
    alive = str(rows(site)[0]["state"])
    site.kill_jobs()
    listed = rows(site)
    assert listed == [] or str(listed[0]["state"]) != alive
    build.cleanup()


def test_users_of_a_dead_job(site: Site) -> None:
    """Whose a range of users is can be read, and it is free again when the job is dead."""
    build = Build(site.runner(), Job()).begin()
    name = site.machine()
    held = {lock for lock in host.uid_locks() if host.read(host.UID_LOCKS / lock) == f"{name}\n"}
    assert len(held) == 3 and host.held_uid_locks(held) == held
    site.kill_jobs()
    assert site.call("gc").returncode == 0
    # Another site's gc may be looking at them at the same time, and remove them itself.
    wait_until(lambda: not [lock for lock in host.uid_locks() if host.read(host.UID_LOCKS / lock) == f"{name}\n"])
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


def test_what_cannot_be_told(site: Site) -> None:
    """Where a disk fails, nobody can tell whether a job runs: then gc takes it for one that does."""
    with site.started() as build:
        (layer,) = site.layers()
        place, aside = site.root / ".layers" / layer, site.root / ".layers" / "aside"
        place.rename(aside)
        place.symlink_to("/nonexistent")  # which nothing opens
        try:
            done = site.call("gc")
            assert layer not in done.stdout + done.stderr
            assert [row["state"] for row in rows(site)] == ["preparing"]
        finally:
            place.unlink()
            aside.rename(place)
        assert [row["state"] for row in rows(site)] == ["running"]
        assert build.run_script("echo lives").stdout == b"lives\n"


def test_other_installations(make_site, tiny_root) -> None:
    """Jobs of another configuration on the same host are neither removed nor listed, not even where both have one image
    root."""
    one, same_root, other_root = make_site(), make_site(), make_site(root=tiny_root)
    with one.started() as build:
        for other in (same_root, other_root):
            assert rows(other) == [] and one.job_id() not in listing(other, "--dry-run") + listing(other)
            assert other.run(Job()).state == "success"
            assert one.job_id() in [row["id"] for row in rows(one)]
        assert build.run_script("echo still").stdout == b"still\n"


def test_same_id(make_site) -> None:
    """Two configurations with the same images can have jobs of the same id at the same time."""
    one, other = make_site(), make_site()
    for site in (one, other):
        assert site.call("prepare", "--id", "same", IMAGE).returncode == 0
    script = one.directory / "script"
    script.write_text("hostname\n")
    for site in (one, other):
        assert site.call("run", "--id", "same", str(script), "build_script").stdout == f"{site.prefix}same\n"
    assert one.call("cleanup", "--id", "same").returncode == 0 and rows(one) == []
    assert other.call("run", "--id", "same", str(script), "build_script").returncode == 0
    assert other.call("cleanup", "--id", "same").returncode == 0


def leave(machine: str) -> list[Path]:
    """Of a machine that nothing else is left of: a unit, or where there is no systemd, control groups without a process."""
    if host.has_systemd():
        subprocess.run(["systemd-run", "--quiet", f"--unit={machine}", "--slice=machine.slice", "--collect", "sleep",
                        "1000"], check=True)
        return [Path(path) for path in host.cgroups_named(re.escape(machine) + r"\.service$")]
    tops = [host.CGROUPS, host.CGROUPS / "systemd", host.CGROUPS / "unified"]
    left = [top / "nspawn-runner" / machine / "below" for top in tops if (top / "cgroup.procs").exists()]
    for path in left:
        path.mkdir(parents=True)
    return [path.parent for path in left]


def test_whose_it_is(make_site, tiny_root) -> None:
    """gc removes what bears this configuration's name and nothing else, at once: layers, units, control groups, those
    without processes too."""
    site, other = make_site(root=tiny_root), make_site(root=tiny_root)
    ours, foreign = f"{site.prefix}4711-0badcafe", f"{other.prefix}4711-0badcafe"
    groups, foreign_groups = leave(ours), leave(foreign)
    layers = [tiny_root / ".layers" / name for name in (ours, foreign, "4712-0badcafe")]
    for layer in layers:
        layer.mkdir(parents=True)
    try:
        assert groups and all(path.exists() for path in groups)
        said = [line for line in listing(site, "--dry-run").splitlines() if " job " in line]
        assert said == ["Would remove job 4711-0badcafe"]
        assert "Removed job 4711-0badcafe" in listing(site)
        assert [layer.exists() for layer in layers] == [False, True, True]
        assert not any(path.exists() for path in groups) and all(path.exists() for path in foreign_groups)
        assert rows(site) == [] and [row["id"] for row in rows(other)] == ["4711-0badcafe"]
        for path in foreign_groups:
            left_alone = host.read(str(path / "cgroup.procs")) if host.has_systemd() else "empty"
            assert left_alone
    finally:
        listing(other)
    assert not any(path.exists() for path in foreign_groups) and site.traces() + other.traces() == []


def test_runtime_dir_by_another_path(make_site) -> None:
    """A symlink to the runtime directory leads to the same jobs."""
    site = make_site()
    link = site.lab.runtime_base / "link"
    link.symlink_to(site.runtime_dir.name)
    with site.started() as build:
        same = make_site(runtime_dir=str(link))
        assert [row["id"] for row in rows(same)] == [site.job_id()] and "job" not in listing(same)
        assert build.run_script("echo still").stdout == b"still\n"


def held(path: Path) -> int:
    """A descriptor that holds the exclusive lock of a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


@pytest.mark.parametrize("command", ("prepare", "cleanup"))
def test_layer_of_a_dying_process(make_site, tiny_root, command: str) -> None:
    """A layer that is still locked, by a cleanup that was killed and is not yet dead, is waited for."""
    site = make_site(root=tiny_root)
    layer = tiny_root / ".layers" / f"{site.prefix}new"
    (site.runtime_dir / "jobs/new").mkdir(parents=True)
    layer.mkdir(parents=True)
    descriptor = held(layer)
    with subprocess.Popen(site.argv(command, "--id", "new", *([IMAGE] if command == "prepare" else [])),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        wait_until(lambda: process.poll() is not None or str(layer) in host.open_files(process.pid).values())
        os.close(descriptor)
        output = process.communicate()[0]
        assert process.returncode == 0, output
    assert site.call("cleanup", "--id", "new").returncode == 0
    assert site.traces() == []


def test_gone_while_looked_at(make_site, tiny_root) -> None:
    """A job that goes between the list of jobs and the look at it is not shown as dead."""
    site = make_site(root=tiny_root)
    state = site.runtime_dir / "jobs/4711-0badcafe"
    state.mkdir(parents=True)
    slow = ["strace", "-qq", "-o", "/dev/null", "-P", str(state), "-e", "trace=openat,openat2",
            "-e", "inject=openat,openat2:delay_enter=1500000:when=1"]
    in_time = False
    while not in_time:
        begin = time.monotonic()
        processes = [subprocess.Popen([*slow, *site.argv(*command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
                     for command in (("status", "--json"), ("gc", "--dry-run"))]
        time.sleep(1)  # too early, and the test sees nothing
        state.rmdir()
        in_time = time.monotonic() - begin < 1.4  # nobody has looked yet
        outputs = [process.communicate()[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        assert not in_time or not any("4711" in output for output in outputs), outputs
        state.mkdir()
    state.rmdir()


def test_machine_of_a_command_begins(make_site, tiny_root) -> None:
    """What chroot-run and the like start is no dead job, from the first moment on."""
    site = make_site(root=tiny_root)
    slow = ["strace", "-f", "-D", "-qq", "-o", "/dev/null", "-P", str(site.lab.driver), "-e", "trace=execve",
            "-e", "inject=execve:delay_enter=1500000"]
    with subprocess.Popen([*slow, *site.argv("chroot-run", IMAGE, "--", "/bin/true")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while process.poll() is None:
            assert site.call("gc").returncode == 0
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
    layer = tiny_root / ".layers" / f"{site.prefix}4711-0badcafe"
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
    def strange(directory: Path) -> str:
        return "12-aaaaaaaa" if directory.name == "jobs" else f"{site.prefix}12-aaaaaaaa"

    outside = site.directory / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    for directory in (tiny_root / ".layers", site.runtime_dir / "jobs"):
        directory.mkdir(exist_ok=True)
        entry = directory / strange(directory)
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
        subprocess.run(["rm", "-rf", directory / strange(directory)], check=True)


def test_prepare_does_the_cheap_part(make_site, tiny_root) -> None:
    """Layers of jobs that died go with the next prepare, so that nobody needs to call gc."""
    site = make_site(root=tiny_root)
    dead = Build(site.runner(), Job()).begin()
    site.kill_jobs()
    dead.cleanup_temporary()
    with site.started():
        assert len(site.layers()) in (1, 2)
    assert site.call("gc").returncode == 0
    assert site.traces() == []


def test_prepare_among_many(make_site, tiny_root) -> None:
    """However many there are, prepare looks at some only, and at others the next time."""
    site = make_site(root=tiny_root)
    jobs = site.runtime_dir / "jobs"
    jobs.mkdir(parents=True, mode=0o700)
    for number in range(50):
        (jobs / f"dead-{number}").mkdir(mode=0o700)
    build = Build(site.runner(), Job()).begin()
    assert 18 <= len(list(jobs.glob("dead-*"))) < 50
    build.cleanup()
    assert site.call("gc").returncode == 0
    assert list(jobs.glob("dead-*")) == [] and site.traces() == []


def test_prepare_leaves_what_explains(make_site, tiny_root) -> None:
    """A machine that ended by itself is not cleared away by the next job's prepare: the next step says what happened."""
    site = make_site(root=tiny_root)
    with running(site, IMAGE) as build:
        (job,) = site.jobs()
        ended = site.runtime_dir / "jobs" / job / "ended"
        os.kill(site.init_pid(), signal.SIGKILL)
        wait_until(ended.exists)
        with running(site, IMAGE):
            assert len(site.jobs()) == 2
        with pytest.raises(Failure, match="does not run any more\nThe container ended: "):
            build.run_script("true")
        # That is for a while only.
        os.utime(ended, (0, 0))
        with running(site, IMAGE):
            assert job not in site.jobs()
