# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at many points: whatever was killed wherever, the next command of the job, or gc, leaves nothing behind."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable

import pytest

import host
from lab import IMAGE, STORAGES, Site
from pace import PATIENCE, wait_until
from simulation.build import Build
from simulation.jobspec import Job

pytestmark = pytest.mark.supervisor_matters

STEPS = 9
STRACE = shutil.which("strace")


# What may come next. Each must end with nothing left.

def then_cleanup(site: Site, build: Build) -> None:
    """gitlab-runner's own next step."""
    call = build.cleanup()
    assert call and call.returncode == 0, str(call)


def then_prepare(site: Site, build: Build) -> None:
    """The job's next attempt: it works, on a fresh machine."""
    build.cleanup_temporary()
    build.begin()
    assert build.run_script("echo again").stdout == b"again\n"
    then_cleanup(site, build)


def then_gc(site: Site, build: Build) -> None:
    """gc takes what is dead; a container that came up all the same is a living job, which cleanup ends."""
    def is_over() -> bool:
        done = site.call("gc")
        assert done.returncode == 0, done.stderr
        return not site.traces() or bool(site.container_pids())
    wait_until(is_over)
    if site.traces():
        then_cleanup(site, build)
    build.cleanup_temporary()


AFTERWARDS: list[Callable[[Site, Build], None]] = [then_cleanup, then_prepare, then_gc]


def started(site: Site, job: Job | None = None) -> Build:
    """A build whose next call is prepare."""
    build = Build(site.runner(), job or Job())
    build.start_attempt()
    build.config()
    build.start_build()
    return build


def assert_clean(site: Site) -> None:
    """Nothing is left, and the next job works."""
    assert site.traces() == []


@pytest.mark.parametrize("storage", STORAGES)
def test_prepare_killed_at_any_time(make_site, storage: str) -> None:
    """A sweep over the time that prepare takes."""
    site = make_site(storage=storage)
    begin = time.monotonic()
    with site.started():
        whole = time.monotonic() - begin
    for step in range(STEPS):
        build = started(site)
        call = build.start("prepare", build.runner.prepare_exec)
        time.sleep(whole * step / STEPS)
        host.kill(call.pid)
        # The pipes may be held by what prepare had started: gitlab-runner would wait for them.
        assert call.wait(PATIENCE), (step, site.traces())
        AFTERWARDS[step % 3](site, build)
        assert_clean(site)


def test_prepare_killed_in_boot_mode(make_site) -> None:
    """The same while systemd boots in the container."""
    site = make_site(boot="yes")
    for step in range(6):
        build = started(site)
        call = build.start("prepare", build.runner.prepare_exec)
        time.sleep(0.04 * step)
        host.kill(call.pid)
        assert call.wait(PATIENCE)
        AFTERWARDS[step % 3](site, build)
        assert_clean(site)


@pytest.mark.parametrize("storage", STORAGES)
def test_cleanup_killed_at_any_time(make_site, storage: str) -> None:
    """A sweep over cleanup; the layer has enough files to take a while."""
    site = make_site(storage=storage)
    for step in range(6):
        build = Build(site.runner(), Job()).begin()
        build.run_script("mkdir -p /root/d/{1..30}; touch /root/d/{1..30}/{1..20}; sleep 1000 >/dev/null 2>&1 &")
        call = build.start("cleanup", build.runner.cleanup_exec)
        time.sleep(0.004 * step)
        host.kill(call.pid)
        assert call.wait(PATIENCE)
        AFTERWARDS[step % 3](site, build)
        assert_clean(site)


def test_each_process_killed(any_boot_site: Site) -> None:
    """Every process of a running job in turn: supervisor, both of nspawn's, the container's first process."""
    with any_boot_site.started():
        count = len(any_boot_site.job_pids())
    for number in range(min(count, 6)):
        build = Build(any_boot_site.runner(), Job()).begin()
        pids = sorted(any_boot_site.job_pids())
        host.kill(pids[min(number, len(pids) - 1)])
        AFTERWARDS[number % 3](any_boot_site, build)
        assert_clean(any_boot_site)


def test_everything_killed_at_once(any_boot_site: Site) -> None:
    """As the kernel's out-of-memory killer or a hasty administrator may do."""
    for afterwards in AFTERWARDS:
        build = Build(any_boot_site.runner(), Job()).begin()
        for pid in any_boot_site.job_pids():
            host.kill(pid)
        afterwards(any_boot_site, build)
        assert_clean(any_boot_site)


@pytest.mark.parametrize("kept", (False, True))
def test_gitlab_runner_killed(make_site, tmp_path: Path, kept: bool) -> None:
    """The containers of a job, and of its services, end with the GitLab Runner that called `prepare`; unless the job failed
    and is kept."""
    runner = tmp_path / "gitlab-runner"
    shutil.copy(os.path.realpath("/bin/bash"), runner)
    site = make_site(network="private", keep_failed="1h" if kept else "0s")
    build = started(site, Job(services=[
        {"name": IMAGE, "alias": "", "entrypoint": None, "command": ["sleep", "infinity"], "variables": []}]))
    script = '"$@" || exit; echo prepared >&2; while :; do sleep 0.1; done'
    call = build.start("prepare", [str(runner), "-c", script, "-", *site.argv("prepare", "--default-image", IMAGE)])
    while b"prepared" not in call.stderr:
        assert not call.wait(0.02), call.output
    build.start_script("exit 1").wait()
    if kept:
        then_cleanup(site, build)
    assert site.container_pids()
    host.kill(call.pid)
    assert call.wait()
    if kept:
        assert site.call("gc").returncode == 0 and site.container_pids()
        assert site.call("cleanup", "--now", "--id", site.jobs()[0]).returncode == 0
        wait_until(lambda: site.traces() == [])  # the process that waits for the job's time notices that it is gone
    wait_until(lambda: not site.container_pids())
    if not kept:
        then_gc(site, build)
    assert_clean(site)


def test_gc_killed(site: Site) -> None:
    """A killed gc is only finished later."""
    for step in range(5):
        build = Build(site.runner(), Job()).begin()
        build.run_script("mkdir -p /root/d/{1..30}; touch /root/d/{1..30}/{1..20}")
        for pid in site.job_pids():
            host.kill(pid)
        process = subprocess.Popen(site.argv("gc"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.002 * step)
        process.kill()
        process.wait()
        then_gc(site, build)
        assert_clean(site)


@pytest.mark.parametrize("storage", STORAGES)
def test_after_a_reboot(make_site, storage: str) -> None:
    """After a reboot the runtime directory and all processes are gone and layers are left: gc, or the next
    prepare of that job, removes them."""
    site = make_site(storage=storage)
    for afterwards in (then_gc, then_prepare, then_cleanup):
        build = Build(site.runner(), Job()).begin()
        build.run_script("echo x > /root/x")
        site.kill_jobs()
        shutil.rmtree(site.runtime_dir)
        site.call("gc") if afterwards is then_gc else None
        afterwards(site, build)
        if afterwards is not then_gc:
            # Without the runtime directory the job may have got another id: gc finds the old one's layer.
            assert site.call("gc").returncode == 0
        assert_clean(site)


def test_prepare_while_leftovers_are_removed(site: Site) -> None:
    """After a reboot a job has a layer and no directory. While one process removes it, no other may start the job again:
    the layer and the container that are new would be taken for the old ones."""
    build = Build(site.runner(), Job()).begin()
    site.kill_jobs()
    (job,) = site.jobs()
    shutil.rmtree(site.runtime_dir)
    (layer,) = site.layers()
    held = os.open(site.root / ".layers" / layer, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        with subprocess.Popen(site.argv("cleanup", "--id", job)) as remover:
            try:
                wait_until(lambda: str((site.root / ".layers" / layer).resolve()) in host.open_files(remover.pid).values())
                directory = os.open(site.runtime_dir / "jobs" / job, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    with pytest.raises(BlockingIOError):
                        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                finally:
                    os.close(directory)
                fcntl.flock(held, fcntl.LOCK_UN)
                assert remover.wait() == 0
            finally:
                remover.kill()
    finally:
        os.close(held)
    build.cleanup_temporary()
    assert_clean(site)


# By system call: the process dies at the Nth call of a kind. With --follow also what it started.
POINTS = [(calls, when) for calls, whens in {
    "mkdir,mkdirat": (1, 2, 3, 5),
    "openat": (12, 20, 30, 45, 60),
    "rename,renameat,renameat2,linkat": (1, 2, 3),
    "flock": (1, 2, 3),
    "fcntl": (1, 3, 6, 10),
    "bind": (1,),
    "listen": (1,),
    "write": (1, 2, 4, 8, 12),
    "clone,clone3,vfork,fork": (1, 2),
    "execve": (2, 3, 4),
    "mount,mount_setattr,move_mount,open_tree,fsmount": (1, 2, 3, 4, 6),
    "chown,fchown,fchownat,lchown": (1, 2),
    "unlink,unlinkat,rmdir": (1, 2, 4, 8),
    "connect": (1, 2),
    "sendmsg,sendto": (1, 2),
    "ioctl": (1, 2, 3),
    "umount2": (1, 2),
    "kill,pidfd_send_signal": (1, 2),
    "exit_group": (1, 2),
    "setsid": (1,),
    "unshare": (1,),
}.items() for when in whens]


# Where control groups, sockets and files of a job with a service are made or removed.
POINTS_OF_SERVICES = [(calls, when) for calls, when in POINTS if calls in (
    "mkdir,mkdirat", "write", "unlink,unlinkat,rmdir", "sendmsg,sendto", "kill,pidfd_send_signal")][::2]


def trace(site: Site, build: Build, stage: str, argv: list[str], calls: str, when: int, follow: bool) -> bool:
    """Runs a stage that dies at that call. False when there was no such call and the stage ended by itself."""
    log = str(Path(tempfile.mkdtemp(prefix="strace-", dir=site.directory)) / "log")
    strace = ["strace", "-D", "-q", *(["-f"] if follow else []), "-o", log, "-e", f"trace={calls}",
              "-e", f"inject={calls}:signal=KILL:when={when}"]
    call = build.start(stage, [*strace, *argv])
    end = re.compile(rf"^({call.pid} +)?[+]{{3}} (killed|exited)", re.MULTILINE)
    wait_until(lambda: end.search(host.read(log)) or call.wait(0))
    assert end.search(host.read(log)), (stage, calls, when, call.output)

    def has_ended() -> bool:
        for pid, command in host.processes().items():
            if command.startswith("strace -D") and log in command:
                host.kill(pid)  # it still holds what prepare left running, and the pipes
        return call.wait(0)
    wait_until(has_ended)
    wait_until(lambda: not any(log in command for command in host.processes().values()))
    return "killed by SIGKILL" in host.read(log)


def syscall_sweep(site: Site, stage: str, follow: bool, points: list[tuple[str, int]], job: Job | None = None) -> int:
    """Kills @stage at each of @points; returns how many of them were reached. Where one was not, nobody comes to the later
    ones of its kind."""
    reached, over = 0, set()
    for number, (calls, when) in enumerate(points[::2] if follow else points):
        if calls in over:
            continue
        build = started(site, job)
        argv = build.runner.prepare_exec
        if stage == "cleanup":
            build.prepare()
            argv = build.runner.cleanup_exec
        if trace(site, build, stage, argv or [], calls, when, follow):
            reached += 1
        else:
            over.add(calls)
        AFTERWARDS[number % 3](site, build)
        assert site.traces() == [], (stage, calls, when)
    return reached


if STRACE:
    # A supervisor that is a unit of systemd is no child to follow.
    @pytest.mark.parametrize("stage, follow", (
        pytest.param("prepare", False, id="prepare"),
        pytest.param("prepare", True, id="prepare-and-supervise", marks=pytest.mark.any_host),
        pytest.param("cleanup", False, id="cleanup", marks=pytest.mark.any_host)))
    def test_killed_at_system_calls(make_site, tiny_root, stage: str, follow: bool) -> None:
        """A sweep over the kinds of system calls that change anything."""
        site = make_site(root=tiny_root)
        site.forget_filters()
        before = host.fingerprint(tiny_root / "debian", content=True)
        reached = syscall_sweep(site, stage, follow, POINTS)
        assert reached >= 10, "the points no longer fit what the program does"
        assert host.changes(before, host.fingerprint(tiny_root / "debian", content=True)) == []

    def test_gitlab_runner_killed_early(make_site, tiny_root, tmp_path: Path) -> None:
        """It is killed while `prepare` still looks for the image: no container is left to run for nobody."""
        site, log, runner = make_site(root=tiny_root), tmp_path / "log", tmp_path / "gitlab-runner"
        shutil.copy(os.path.realpath("/bin/bash"), runner)
        build = started(site)
        argv = site.argv("prepare", "--default-image", IMAGE)
        # In a session of its own: the kernel wakes and ends those of ours that are stopped when their parent dies.
        stop = ["setsid", "strace", "-D", "-q", "-o", str(log), "-e", "trace=flock", "-e",
                "inject=flock:signal=STOP:when=1"]
        call = build.start("prepare", [str(runner), "-c", '"$@"; :', "-", *stop, *argv])
        wait_until(lambda: "stopped by SIGSTOP" in host.read(log) or call.wait(0))
        assert "stopped by SIGSTOP" in host.read(log), call.output
        (prepare,) = (pid for pid, command in host.processes().items() if command == " ".join(argv))
        host.kill(call.pid)
        wait_until(lambda: f"PPid:\t{call.pid}\n" not in host.read(f"/proc/{prepare}/status"))
        os.kill(prepare, signal.SIGCONT)
        wait_until(lambda: prepare not in host.processes())
        assert call.wait()
        assert not site.container_pids(), call.output
        then_cleanup(site, build)
        assert_clean(site)

    @pytest.mark.parametrize("stage", ("prepare", "cleanup"))
    def test_killed_with_a_service(make_site, tiny_root, stage: str) -> None:
        """Of a job with a service, several containers and their slice go."""
        site = make_site(root=tiny_root, network="none")
        job = Job(image=IMAGE, services=[{"name": IMAGE, "alias": "s", "entrypoint": None, "command": ["sleep", "1000"]}])
        assert syscall_sweep(site, stage, False, POINTS_OF_SERVICES, job) >= 4
