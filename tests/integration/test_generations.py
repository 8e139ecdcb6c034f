# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations of images: published with one rename while jobs go on, kept, listed, compared, rolled back, removed."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
from lab import IMAGE, KEPT, Done, Lab, Site
from maintenance import FILE_SYSTEMS, assert_whole, gone, running
from pace import PATIENCE, wait_until
from simulation.jobspec import Job
from terminal import Terminal

# A generation is whole if both files say the same; they are the first and the last that is written.
CHANGE = "echo {0} > /aaa; sync; echo {0} > /zzz\n"


@pytest.fixture(params=FILE_SYSTEMS)
def fs_site(request: pytest.FixtureRequest, lab: Lab, make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site whose image root, with one small image, is a new file system."""
    with lab.file_system(request.param, request.node.name.partition("[")[0], "600M") as where:
        if request.param == "btrfs":
            subprocess.run(["btrfs", "-q", "subvolume", "create", where / IMAGE], check=True)
        subprocess.run(["cp", "-a", "-T", lab.tiny_image(), where / IMAGE], check=True)
        yield make_site(root=where, storage=FILE_SYSTEMS[request.param])


def change(site: Site, script: str, name: str = IMAGE) -> Done:
    """Makes the next generation, be it a mere copy."""
    done = subprocess.run(site.argv("chroot-login", "--publish", name), input=script, capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    return Done(done.args, done.returncode, done.stdout, done.stderr)


def publisher(site: Site, text: object) -> list[str]:
    """A program that changes the image as chroot-login does, without a container."""
    return [str(site.lab.driver.parent / "tests" / "unit" / "image-publish"), str(site.root), IMAGE, str(text)]


def publish(site: Site, text: object) -> None:
    """Makes the next generation in much less time than change()."""
    subprocess.run(publisher(site, text), check=True, timeout=PATIENCE)


def listed(site: Site) -> dict[str, dict]:
    """The rows of chroot-list --json by name."""
    done = site.call("chroot-list", "--json")
    assert done.returncode == 0, str(done)
    return {row["name"]: row for row in json.loads(done.stdout)["images"]}


def generation_of(tree: Path) -> int:
    """Its number."""
    return int(os.getxattr(tree, "trusted.nspawn-runner.generation"))


def assert_clean(site: Site) -> None:
    """After gc there is nothing but the image, its old generations, and what is known of them."""
    assert site.call("gc").returncode == 0
    assert set(os.listdir(site.root)) <= {IMAGE, *KEPT}
    names = os.listdir(site.root / ".generations" / IMAGE)
    trees = {name for name in names if name.isdigit()}
    assert len(trees) <= 1 and {f"{name}.json" for name in trees} <= set(names), names
    for name in trees:
        assert_whole(site.root / ".generations" / IMAGE / name)
    again = site.call("gc").stderr  # what is the host's, such as locks, others may leave meanwhile
    assert "generation" not in again and "half-made" not in again and site.prefix not in again, again
    assert site.traces() == []


def test_jobs_during_publishing(fs_site: Site) -> None:
    """Jobs in a loop while the image is changed in a loop: each has one generation, whole, from its begin to its end."""
    site, stop, failures = fs_site, threading.Event(), []
    publish(site, 0)

    def publish_all() -> None:
        try:
            for number in itertools.count(1):
                if stop.is_set():
                    return
                publish(site, number)
        except subprocess.SubprocessError as error:
            failures.append(str(error))

    thread = threading.Thread(target=publish_all)
    thread.start()
    seen = set()
    try:
        jobs = 0
        while not failures and (jobs < 8 or len(seen) < 2):
            jobs += 1
            with running(site, IMAGE) as build:
                states = {build.run_script("cat /aaa /zzz; ls /usr/bin | wc -l").stdout for _ in range(4)}
            assert len(states) == 1, states
            first, last, _ = states.pop().decode().split()
            assert first == last
            seen.add(int(first))
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert_clean(site)


def make_zoo(tree: Path) -> None:
    """Everything that a copy could get wrong."""
    zoo = tree / "zoo"
    zoo.mkdir()
    (zoo / "plain").write_text("x" * 5000)
    for number in range(3):
        os.link(zoo / "plain", zoo / f"link{number}")
    (zoo / "setuid").write_text("x")
    os.chown(zoo / "setuid", 1234, 5678)
    (zoo / "setuid").chmod(0o6755)
    os.mkfifo(zoo / "fifo", 0o622)
    os.mknod(zoo / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(zoo / "block", stat.S_IFBLK | 0o600, os.makedev(7, 200))
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(zoo)  # a socket's path is short
        server.bind("socket")
        os.chdir(here)
    (zoo / "etc").symlink_to("/")
    (zoo / "dangling").symlink_to("../../../../no/such")
    with open(zoo / "sparse", "wb") as file:
        file.seek(20 * 1024 * 1024)
        file.write(b"end")
        file.truncate(50 * 1024 * 1024)
    os.setxattr(zoo / "plain", "user.comment", b"a\0b")
    os.setxattr(zoo / "plain", "trusted.secret", b"x")
    os.setxattr(zoo / "setuid", "security.capability",
                bytes([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    acl = bytes.fromhex("02000000" "01000600ffffffff" "02000400d2040000" "04000400ffffffff" "10000400ffffffff"
                        "20000000ffffffff")
    (zoo / "acl").mkdir(0o750)
    os.setxattr(zoo / "acl", "system.posix_acl_access", acl)
    (zoo / "acl/inside").write_text("x")
    os.setxattr(zoo / "acl", "system.posix_acl_default", acl)
    (zoo / "sticky").mkdir()
    (zoo / "sticky").chmod(0o3777)
    (zoo / "name with\nnewline").write_text("x")
    (zoo / ("n" * 255)).write_text("x")
    for path in sorted(zoo.rglob("*"), reverse=True):
        os.utime(path, ns=(4102444800123456789, 4102444800987654321), follow_symlinks=False)


def comparable(tree: Path) -> dict[str, str]:
    """The state of a tree's zoo but for what cannot be the same in a copy."""
    state = {}
    for name, entry in host.fingerprint(tree / "zoo", content=True).items():
        path = f"{tree}/zoo/{name}"
        info = os.lstat(path)
        attributes = {key: os.getxattr(path, key, follow_symlinks=False)
                      for key in sorted(os.listxattr(path, follow_symlinks=False))}
        digest = entry.rpartition(" ")[2] if stat.S_ISREG(info.st_mode) else ""
        target = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
        times = () if name == "." else (info.st_mtime_ns,)
        state[name] = repr((oct(info.st_mode), info.st_uid, info.st_gid, info.st_rdev, info.st_nlink,
                            0 if stat.S_ISDIR(info.st_mode) else info.st_size, times, attributes, digest, target))
    return state


def test_identical_copies(fs_site: Site) -> None:
    """The copy that is worked on is the image in every respect: links, modes, times, attributes, holes, devices."""
    site = fs_site
    make_zoo(site.root / IMAGE)
    before = comparable(site.root / IMAGE)
    assert len(before) > 15
    assert change(site, "true\n").returncode == 0
    new, old = site.root / IMAGE, site.root / ".generations" / IMAGE / "1"
    assert host.changes(before, comparable(new)) == []
    assert host.changes(before, comparable(old)) == []
    assert {os.lstat(new / "zoo" / f"link{number}").st_ino for number in range(3)} == \
        {os.lstat(new / "zoo/plain").st_ino}
    assert os.lstat(new / "zoo/sparse").st_blocks * 512 < 10 * 1024 * 1024
    assert os.lstat(new / "zoo/plain").st_ino != os.lstat(old / "zoo/plain").st_ino or new.stat().st_dev != \
        old.stat().st_dev


@pytest.fixture(name="roomy_site")
def fixture_roomy_site(lab: Lab, make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site with one small image on a file system that is unmounted much sooner than its files are removed."""
    with lab.file_system("ext4", "roomy", "8G") as where:
        subprocess.run(["cp", "-a", "-T", lab.tiny_image(), where / IMAGE], check=True)
        yield make_site(root=where)


def test_many_files(roomy_site: Site) -> None:
    """10,000 files, in directories of which some are large and some deep, with links between them."""
    site, zoo = roomy_site, roomy_site.root / IMAGE / "zoo"
    zoo.mkdir()

    def place(number: int) -> Path:
        return zoo / (f"large{number % 4}/{number}" if number % 2 else f"d{number % 50}/{number % 400}/deeper/{number}")

    for number in range(10_000):
        path = place(number)
        if number < 1000:
            path.parent.mkdir(parents=True, exist_ok=True)
        if number % 10 == 3:
            os.link(place(number - 1), path)
        else:
            with open(path, "wb") as file:
                file.write(str(number).encode())
    before = comparable(site.root / IMAGE)
    assert change(site, "true\n").returncode == 0
    assert host.changes(before, comparable(site.root / IMAGE)) == []


def test_killed_at_many_points(fs_site: Site) -> None:
    """SIGKILL during the copy, the work, the publishing and the clearing up: the image is there, whole, and usable."""
    site, points = fs_site, 40
    publish(site, 0)
    begin = time.monotonic()
    publish(site, 0)
    duration = time.monotonic() - begin
    for number in range(1, points + 1):
        with subprocess.Popen(publisher(site, number), stderr=subprocess.DEVNULL) as process:
            time.sleep(duration * 1.1 * number / points)
            process.kill()
        assert assert_whole(site.root / IMAGE) in {str(other) for other in range(number + 1)}
    with running(site, IMAGE) as build:
        first, last = build.run_script("cat /aaa /zzz").stdout.split()
        assert first == last
    publish(site, 99)
    assert assert_whole(site.root / IMAGE) == "99"
    assert_clean(site)


def kill_at(site: Site, delay: float, number: int) -> None:
    """A change that is killed after that time, with the container in it."""
    with subprocess.Popen(site.argv("chroot-login", IMAGE), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin
        process.stdin.write(CHANGE.format(number))
        process.stdin.close()
        time.sleep(delay)
        process.kill()
    wait_until(lambda: gone(site))


def test_killed_login(make_site, tiny_root: Path) -> None:
    """The same with a container that works on the copy."""
    site, begin, points = make_site(root=tiny_root), time.monotonic(), 8
    assert change(site, CHANGE.format(0)).returncode == 0
    duration = time.monotonic() - begin
    for number in range(1, points + 1):
        kill_at(site, duration * 1.1 * number / points, number)
        assert assert_whole(site.root / IMAGE) in {str(other) for other in range(number + 1)}
    assert change(site, CHANGE.format(99)).returncode == 0
    assert assert_whole(site.root / IMAGE) == "99"
    assert_clean(site)


# Where the steps differ: a subvolume is not copied and removed as a directory is, and XFS only shares data.
SWEEPS = [("ext4", "publish"), ("ext4", "rollback"), ("ext4", "remove"), ("btrfs", "publish"), ("btrfs", "remove")]
STEPS = [(call, when) for call, count in (("fsetxattr", 3), ("renameat2", 2), ("renameat", 5), ("mkdirat", 5),
                                          ("unlinkat", 3), ("syncfs", 1), ("fsync", 1)) for when in range(1, count + 1)]


@pytest.mark.parametrize("fs_site, command", SWEEPS, indirect=["fs_site"])
def test_killed_at_system_calls(fs_site: Site, command: str) -> None:
    """SIGKILL at each system call that changes something in the image root: jobs find what was current, and gc puts
    everything in order."""
    site = fs_site
    calls = ("fsetxattr", "renameat2", "renameat", "mkdirat", "unlinkat", "syncfs", "fsync")
    arguments = {"rollback": ["chroot-rollback", IMAGE], "remove": ["chroot-remove", "--yes", IMAGE]}
    killed = 0
    for number, (call, when) in enumerate(STEPS):
        if not (site.root / IMAGE).exists():
            subprocess.run(["cp", "-a", "-T", site.lab.tiny_image(), site.root / IMAGE], check=True)
        for text in ("before", "current"):
            publish(site, f"{text}-{number}")
        current = generation_of(site.root / IMAGE)
        argv = publisher(site, f"next-{number}") if command == "publish" else site.argv(*arguments[command])
        done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={','.join(calls)}",
                               "-e", f"inject={call}:signal=KILL:when={when}", *argv],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE)
        killed += done.returncode == -signal.SIGKILL
        time.sleep(0.05)
        if command != "remove":
            assert assert_whole(site.root / IMAGE).endswith(f"-{number}"), (call, when)
            if call in ("renameat", "fsync"):  # between an exchange and what follows, it is in neither of its places
                found = site.call("chroot-run", f"{IMAGE}@{current}", "--", "cat", "/zzz")
                assert (found.returncode, found.stdout) == (0, f"current-{number}\n"), (call, when, str(found))
            assert_clean(site)
            publish(site, f"after-{number}")
        else:
            assert site.call("gc").returncode == 0
            assert (site.root / IMAGE).exists() or not (site.root / ".generations" / IMAGE).exists(), (call, when)
    assert killed >= 4, "the system calls have other names here"


def test_full_disk(lab: Lab, make_site) -> None:
    """A disk that is too full for the copy, or gets full during the work: the image is as it was, and goes on."""
    with lab.file_system("ext4", "full", "200M") as where:
        subprocess.run(["cp", "-a", "-T", lab.tiny_image(), where / IMAGE], check=True)
        site = make_site(root=where)
        assert change(site, CHANGE.format(1)).returncode == 0
        with open(where / IMAGE / "ballast", "wb") as file:
            file.write(bytes(20 * 1024 * 1024))
        done = change(site, "dd if=/dev/zero of=/fill bs=1M count=500 || exit 9\n")
        assert done.returncode == 9, str(done)
        assert assert_whole(where / IMAGE) == "1" and not (where / IMAGE / "fill").exists()
        with open(where / "other", "wb") as file:
            try:
                while True:
                    file.write(os.urandom(1024 * 1024))
                    file.flush()
            except OSError:
                pass
        done = change(site, CHANGE.format(2))
        assert done.returncode == 1 and "No space left" in done.stderr, str(done)
        assert assert_whole(where / IMAGE) == "1"
        (where / "other").unlink()
        with site.started() as build:
            assert build.run_script("cat /aaa").stdout == b"1\n"
        assert change(site, CHANGE.format(3)).returncode == 0
        assert_clean(site)


def test_list(make_site, tiny_root: Path) -> None:
    """Each generation with number, times, and how many jobs use it."""
    site = make_site(root=tiny_root)
    assert listed(site)[IMAGE]["generation"] is None
    for number in (2, 3):
        assert change(site, CHANGE.format(number)).returncode == 0
    with running(site, f"{IMAGE}@2"), running(site, IMAGE), running(site, IMAGE):
        rows = listed(site)
        assert rows.keys() == {IMAGE, f"{IMAGE}@2"}, rows
        assert (rows[IMAGE]["generation"], rows[f"{IMAGE}@2"]["generation"]) == (3, 2)
        assert (rows[IMAGE]["jobs"], rows[f"{IMAGE}@2"]["jobs"]) == (2, 1)
        assert rows[IMAGE]["updated"] > "2020" and rows[IMAGE]["created"] > "2020"
    table = site.call("chroot-list").stdout
    assert f"{IMAGE}@2" in table and "GENERATION" in table.upper()


def test_change_of_an_old_one(make_site, tiny_root: Path) -> None:
    """What is made of an old generation lets as many live as the current one does, not as many as the old one did."""
    site = make_site(root=tiny_root)
    publish(site, "second")
    record = tiny_root / ".generations" / IMAGE / "2.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "keep": 10}))
    done = change(site, "touch /third", f"{IMAGE}@1")
    assert done.returncode == 0 and site.call("gc").returncode == 0, str(done)
    assert set(listed(site)) == {IMAGE, f"{IMAGE}@1", f"{IMAGE}@2"}


def test_job_picks_generation(make_site, tiny_root: Path) -> None:
    """image: NAME@NUMBER; what is not there is the job's mistake, and what there is, is named."""
    site = make_site(root=tiny_root, allowed_images=[IMAGE])
    for number in (2, 3):
        assert change(site, CHANGE.format(number)).returncode == 0
    for image, expected in ((IMAGE, b"3\n"), (f"{IMAGE}@3", b"3\n"), (f"{IMAGE}@2", b"2\n")):
        with site.started(Job(image=image)) as build:
            assert build.run_script("cat /zzz").stdout == expected
    result = site.run(Job(image=f"{IMAGE}@1"))
    assert result.failure_reason == "script_failure" and "2, 3 (current)" in result.log, str(result)
    # A directory of just that name is another image, which is not allowed.
    subprocess.run(["cp", "-a", tiny_root / IMAGE, tiny_root / f"{IMAGE}@2"], check=True)
    result = site.run(Job(image=f"{IMAGE}@2"))
    assert result.failure_reason == "script_failure" and "allowed_images" in result.log, str(result)


@pytest.mark.parametrize("storage", ("overlay", "tmpfs"))
def test_job_keeps_its_generation(make_site, tiny_root: Path, storage: str) -> None:
    """A generation beyond those that are kept stays until its last job has ended."""
    site = make_site(root=tiny_root, storage=storage)
    assert change(site, CHANGE.format(2)).returncode == 0
    with site.started() as build:
        for number in (3, 4, 5):
            assert change(site, CHANGE.format(number)).returncode == 0
        assert listed(site).keys() == {IMAGE, f"{IMAGE}@2", f"{IMAGE}@4"}
        assert site.call("gc").returncode == 0
        assert build.run_script("cat /zzz; ls /usr/bin/bash").stdout == b"2\n/usr/bin/bash\n"
    assert f"{IMAGE}@2" in site.call("gc", "--dry-run").stderr
    assert f"{IMAGE}@2" in listed(site)
    assert f"{IMAGE}@2" in site.call("gc").stderr
    assert listed(site).keys() == {IMAGE, f"{IMAGE}@4"}


@pytest.mark.host_matters
def test_rollback(fs_site: Site) -> None:
    """The tree of before is back, and the other way round; numbers stay."""
    site = fs_site
    for number in (2, 3):
        assert change(site, CHANGE.format(number)).returncode == 0
    with site.started() as before:
        done = site.call("chroot-rollback", IMAGE)
        assert done.returncode == 0 and "generation 2" in done.stderr, str(done)
        assert before.run_script("cat /zzz").stdout == b"3\n"
        with running(site, IMAGE) as build:
            assert build.run_script("cat /zzz").stdout == b"2\n"
    assert {name: row["generation"] for name, row in listed(site).items()} == {IMAGE: 2, f"{IMAGE}@3": 3}
    done = site.call("chroot-rollback", IMAGE)
    assert done.returncode == 1 and "no earlier" in done.stderr, str(done)
    done = site.call("chroot-rollback", IMAGE, "7")
    assert done.returncode == 1 and "2 (current)" in done.stderr, str(done)
    assert site.call("chroot-rollback", IMAGE, "2").returncode == 1
    assert site.call("chroot-rollback", IMAGE, "x").returncode == 2
    assert site.call("chroot-rollback", "no-such").returncode == 1
    assert site.call("chroot-rollback", IMAGE, "3").returncode == 0
    assert assert_whole(site.root / IMAGE) == "3"
    done = site.call("chroot-remove", "--yes", f"{IMAGE}@3")
    assert done.returncode == 1 and "is the current generation" in done.stderr, str(done)
    assert site.call("chroot-rollback", f"{IMAGE}@2").returncode == 0, "as jobs name it"
    assert assert_whole(site.root / IMAGE) == "2"
    assert_clean(site)


@pytest.mark.parametrize("option", (None, "--no-wait"))
def test_waits_for_who_clears_up(make_site, tiny_root: Path, option: str | None) -> None:
    """Who holds an image's lock without making a tree is done soon, and always waited for. One that was killed and is not
    yet dead, with a tree, is waited for like everybody else. What is written of an earlier holder is not believed."""
    site, directory = make_site(root=tiny_root), tiny_root / ".staging" / IMAGE
    for number in (2, 3):
        assert change(site, CHANGE.format(number)).returncode == 0
    directory.mkdir(parents=True, mode=0o700)
    (directory / "holder").write_text(f"{os.getpid()} 1 1 chroot-login\n")
    holder = os.open(directory, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    if not option:
        (directory / "root").mkdir()
    with subprocess.Popen(site.argv("chroot-rollback", IMAGE, *([option] if option else [])), stderr=subprocess.PIPE,
                          text=True) as process:
        if option:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
        else:
            assert process.stderr.readline() == \
                f"Image '{IMAGE}' is being changed by another process: waiting until that is done\n"
        os.close(holder)
        assert process.wait(PATIENCE) == 0
    assert assert_whole(site.root / IMAGE) == "2"
    assert_clean(site)


def test_image_without_directories(make_site, tiny_root: Path) -> None:
    """Those that each container needs and some images lack, such as those of busybox, are made."""
    site = make_site(root=tiny_root)
    for name in ("var", "run", "proc", "sys", "dev"):
        shutil.rmtree(tiny_root / IMAGE / name)
    done = change(site, CHANGE.format(2))
    assert done.returncode == 0 and assert_whole(site.root / IMAGE) == "2", str(done)


def test_nothing_changed(make_site, tiny_root: Path) -> None:
    """A look around makes no generation that would push out an older one."""
    site = make_site(root=tiny_root)
    for script, number in (("touch /new\n", 2), ("ls /\n", 2), ("touch -d @1 /new\n", 2), ("echo x >/new\n", 3)):
        done = subprocess.run(site.argv("chroot-login", IMAGE), input=script, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 0 and listed(site)[IMAGE]["generation"] == number, (script, done)


@pytest.mark.host_matters
def test_killed_login_leaves_nothing(make_site, tiny_root: Path) -> None:
    """What is left of it is the next command's to remove, as after a killed job; nor does systemd-nspawn keep anything."""
    site, kept = make_site(root=tiny_root), Path("/run/systemd/nspawn/propagate")
    with subprocess.Popen(site.argv("chroot-login", IMAGE), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"echo begun\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"begun\n"
        process.kill()
    wait_until(lambda: gone(site))
    assert site.call("gc").returncode == 0 and not list(kept.glob(f"{site.prefix}*"))
    assert site.traces() == []


def test_settings_of_the_definition(make_site, tiny_root: Path) -> None:
    """They count for a login, too."""
    site = make_site(root=tiny_root)
    site.define(IMAGE, "private_users: no")
    done = change(site, "cat /proc/self/uid_map >/map\n")
    assert done.returncode == 0 and (site.root / IMAGE / "map").read_text() == host.read("/proc/self/uid_map"), str(done)


@pytest.mark.host_matters
def test_remove(fs_site: Site) -> None:
    """Nobody finds the image any more; what a job uses goes with the job."""
    site = fs_site
    for number in (2, 3):
        assert change(site, CHANGE.format(number)).returncode == 0
    with site.started() as build:
        site.define(IMAGE, "boot: no")
        done = site.call("chroot-remove", "--yes", IMAGE)
        assert done.returncode == 0 and "makes it again" in done.stderr, str(done)
        assert listed(site) == {}
        result = site.run(Job())
        assert result.failure_reason == "script_failure" and f"chroot-create {IMAGE}" in result.log, str(result)
        assert build.run_script("cat /zzz /usr/bin/bash | wc -c").returncode == 0
    assert site.call("gc").returncode == 0
    assert set(os.listdir(site.root)) <= KEPT and os.listdir(site.root / ".generations") == []
    done = site.call("chroot-remove", "--yes", IMAGE)
    assert done.returncode == 1 and IMAGE in done.stderr, str(done)
    for name in ("../x", "", ".generations"):
        assert site.call("chroot-remove", "--yes", name).returncode in (1, 2)


@pytest.mark.parametrize("kind", ("symlink", "file", "empty", "data"))
def test_remove_what_is_no_image(make_site, tiny_root: Path, tmp_path: Path, kind: str) -> None:
    """Whatever else is in the directory of images stays: nobody can say what it is."""
    outside, there = tmp_path / "outside", tiny_root / "mydata"
    (outside / "usr/bin").mkdir(parents=True)
    if kind == "symlink":
        there.symlink_to(outside)
    elif kind == "file":
        there.write_text("precious")
    else:
        there.mkdir()
    if kind == "data":
        for name in ("usr", "bin2", "project/usr/bin"):
            (there / name).mkdir(parents=True)
        (there / "project/precious").write_text("precious")
    site = make_site(root=tiny_root)
    paths = [path for path in (there, outside) if path.is_dir()]
    before = [host.fingerprint(path, content=True) for path in paths]
    done = site.call("chroot-remove", "--yes", "mydata")
    assert done.returncode == 1 and "is not an image" in done.stderr, str(done)
    after = [host.fingerprint(path, content=True) for path in paths]
    assert [host.changes(*pair) for pair in zip(before, after)] == [[]] * len(paths)
    assert there.is_symlink() == (kind == "symlink") and (kind != "file" or there.read_text() == "precious")


def test_remove_asks(make_site, tiny_root: Path) -> None:
    """On a terminal for a yes, which Enter alone is not; elsewhere it wants --yes. What was published as an image can be
    removed whatever became of it."""
    site = make_site(root=tiny_root)
    done = site.call("chroot-remove", IMAGE)
    assert done.returncode == 2 and "--yes" in done.stderr and (tiny_root / IMAGE / "usr").is_dir(), str(done)
    for answer in ("\n", "n\n", "maybe\nn\n", "\x04", "\x03"):
        with Terminal(site.argv("chroot-remove", IMAGE)) as terminal:
            terminal.expect(f"Remove image '{IMAGE}' with all its generations? [y/N]")
            terminal.type(answer)
            assert terminal.wait() == (128 + signal.SIGINT if answer == "\x03" else 0)
        assert (tiny_root / IMAGE / "usr").is_dir(), answer
    with Terminal(site.argv("chroot-remove", "nothing")) as terminal:
        terminal.expect("There is no image 'nothing'")
        assert terminal.wait() == 1
    assert change(site, "rm -rf /usr/bin /bin; true\n").returncode == 0
    with Terminal(site.argv("chroot-remove", IMAGE)) as terminal:
        terminal.expect("[y/N]")
        terminal.type("y\n")
        assert terminal.wait() == 0
    assert not (tiny_root / IMAGE).exists()


DPKG = """\
Package: one
Status: install ok installed
Architecture: amd64
Version: {0}

Package: {1}
Status: install ok installed
Architecture: all
Version: 1

"""


def test_diff(make_site, tiny_root: Path) -> None:
    """Packages added, removed and changed; files too if asked for."""
    site = make_site(root=tiny_root)
    assert site.call("chroot-diff", IMAGE).returncode == 1
    for version, name in (("1.0", "old"), ("2.0", "new")):
        text = DPKG.format(version, name)
        script = f"mkdir -p /var/lib/dpkg; cat > /var/lib/dpkg/status <<'END'\n{text}END\n"
        assert change(site, script + f"rm -f /only-old; touch /only-{name}; ln -sfn {name} /link; chmod 755 /etc\n" +
                      ("chmod 700 /root; printf bbb > /same-size\n" if name == "new" else
                       "chmod 755 /root; printf aaa > /same-size\n")).returncode == 0
    done = site.call("chroot-diff", IMAGE, "--json")
    assert done.returncode == 0, str(done)
    rows = json.loads(done.stdout)["differences"]
    assert [(row["change"], row["name"], row["old"], row["new"]) for row in rows] == \
        [("added", "new", None, "1"), ("removed", "old", "1", None), ("changed", "one", "1.0", "2.0")]
    done = site.call("chroot-diff", IMAGE, "2", "--files", "--json")
    files = {row["name"]: row for row in json.loads(done.stdout)["differences"] if row["kind"] == "file"}
    assert files["/only-new"]["change"] == "added" and files["/only-old"]["change"] == "removed"
    assert (files["/link"]["old"], files["/link"]["new"]) == ("-> old", "-> new")
    assert files["/root"]["new"].startswith("0700") and "content" in files["/same-size"]["new"]
    assert "/usr/bin/bash" not in files and "/usr" not in files
    table = site.call("chroot-diff", IMAGE).stdout
    assert "one" in table and "2.0" in table
    assert site.call("chroot-diff", IMAGE, "9").returncode == 1


@pytest.mark.parametrize("where", ("etc", "usr", "root", "var"))
def test_hostile_tree(make_site, tiny_root: Path, tmp_path: Path, where: str) -> None:
    """Directories of the image are symlinks that lead out of it: nothing outside is touched by any command."""
    (tmp_path / "bin").mkdir()
    for name in ("resolv.conf", "machine-id", "lib/dpkg/status"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("Package: outside\nVersion: 1\nStatus: install ok installed\n")
    site = make_site(root=tiny_root)
    assert change(site, "true\n").returncode == 0
    host.remove_tree(tiny_root / IMAGE / where)
    (tiny_root / IMAGE / where).symlink_to(tmp_path)
    before = host.fingerprint(tmp_path, content=True)
    change(site, "echo written > /etc/resolv.conf; touch /var/x /root/x\n")
    assert "outside" not in site.call("chroot-diff", IMAGE, "--files").stdout
    site.call("chroot-list")
    site.run(Job(["true"]))
    site.call("chroot-rollback", IMAGE)
    site.call("chroot-remove", "--yes", IMAGE)
    assert host.changes(before, host.fingerprint(tmp_path, content=True)) == []
