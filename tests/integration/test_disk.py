# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk does not fill: what nobody needs is removed before a job starts, and then no job starts; and a job cannot write
more than it may."""

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
from lab import IMAGE, STORAGES, Lab, Site
from pace import wait_until
from simulation.build import Build
from simulation.jobspec import Job

MIB = 1 << 20


@pytest.fixture(name="small_site")
def fixture_small_site(lab: Lab, make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site with one tiny image on a file system of its own, of 120 MB."""
    with lab.file_system("ext4", "small", "120M") as where:
        root = where / "root"
        root.mkdir()
        shutil.copytree(lab.tiny_image(), root / IMAGE, symlinks=True)
        yield make_site(root=root, storage="overlay")
        host.remove_tree(root)


def free(path: Path) -> int:
    """Bytes that are free on its file system."""
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def reserve(site: Site, value: int | str) -> None:
    """Sets disk_reserve."""
    site.settings["disk_reserve"] = str(value)
    site.write_config()


def test_reserve(small_site: Site) -> None:
    """What ended jobs left is removed first, without which there would be too little; then jobs are refused, as a failure
    of the runner that says what to do; with 0 they are not."""
    site = small_site
    left = site.root / ".trash" / f"{site.prefix}1-0badcafe.0123456789abcdef"
    (left / "upper").mkdir(parents=True)
    before = free(site.root)
    (left / "upper/file").write_bytes(os.urandom(20 * MIB))
    reserve(site, before - 10 * MIB)
    assert site.run(Job()).state == "success"
    assert not left.exists()

    reserve(site, before + 10 * MIB)
    assert "less than disk_reserve" in site.call("doctor").stdout
    result = site.run(Job())
    assert result.failure_reason == "runner_system_failure", str(result)
    assert "is nearly full" in result.log and "chroot-remove" in result.log, result.log
    assert (site.root / IMAGE / "usr/bin/bash").exists() and site.traces() == []

    reserve(site, 0)
    assert site.run(Job()).state == "success"


def test_half_made_images_give_way(small_site: Site) -> None:
    """What interrupted commands left is removed in each directory of images."""
    site = small_site
    for directory in (".", ".oci", ".kept"):
        left = site.root / directory / ".staging/left"
        (left / "root").mkdir(parents=True)
        before = free(site.root)
        (left / "root/file").write_bytes(os.urandom(20 * MIB))
        reserve(site, before - 10 * MIB)
        assert site.run(Job()).state == "success", directory
        assert not left.exists(), directory


def test_caches_give_way(small_site: Site) -> None:
    """Only as many as it takes, the least recently used first, and before a job is refused."""
    site = small_site
    for project in (1, 2):
        assert site.run(Job(["dd if=/dev/urandom of=/cache/data bs=1M count=10"], project=project)).state == "success"
    reserve(site, free(site.root) + 5 * MIB)
    assert site.run(Job(project=3)).state == "success"
    caches = [path.name.split("-")[1] for path in (site.root / ".caches").iterdir()]
    assert sorted(caches) == ["2", "3"], caches
    with site.started(Job(project=2)):
        reserve(site, free(site.root) + 5 * MIB)
        result = site.run(Job(project=3))
        assert "is nearly full" in result.log, str(result)
    assert site.run(Job(project=3)).state == "success"
    assert not [path for path in (site.root / ".caches").iterdir() if path.name.split("-")[1] == "2"]


def test_reserve_of_files(small_site: Site) -> None:
    """A share of the disk is one of its files, too."""
    site = small_site
    info = os.statvfs(site.root)
    many = site.root / "many"
    many.mkdir()
    for number in range(info.f_favail - info.f_files // 20):
        (many / str(number)).symlink_to("nowhere")
    reserve(site, "10%")
    result = site.run(Job())
    assert result.failure_reason == "runner_system_failure" and "files only" in result.log, str(result)
    shutil.rmtree(many)
    assert site.run(Job()).state == "success"


def test_wrong_values(make_site) -> None:
    """There is no disk with infinite room."""
    site = make_site(disk_reserve="infinity")
    done = site.call("status")
    assert done.returncode != 0 and "disk_reserve" in done.stderr, str(done)


FILL = "dd if=/dev/zero of=/root/big bs=1M"


def used(site: Site) -> int:
    """Bytes on the host's disk that this site's layers take up."""
    return sum(path.stat().st_blocks * 512 for path in (site.root / ".layers").rglob("*") if path.is_file())


def loops(site: Site) -> list[str]:
    """Files of this site's that are attached to loop devices."""
    return [file for path in Path("/sys/block").glob("loop*/loop/backing_file") if site.prefix in (file := host.read(path))]


def fails(build: Build, script: str, expected: str) -> None:
    """Runs a script that must fail as the job, for a reason that the log names."""
    call = build.start_script(script)
    assert call.wait() and call.returncode == 1, call.output
    assert expected in call.stderr.decode(), call.output


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("storage", STORAGES)
def test_disk_max(make_site, storage: str) -> None:
    """No more than that fits, whatever the storage is; the log says so, and the status is the script's. There is room again
    when files are removed, and nothing is left of it."""
    site = make_site(storage=storage, disk_max="64M")
    with site.started() as build:
        fails(build, FILL, "The job used up its 64M of disk (disk_max)")
        # What is being written to the disk keeps its blocks, and the journal keeps those of removed files, for a moment.
        build.run_script("rm /root/big; until sync; test $(stat -f -c %a / ) -gt 15000; do sleep 0.1; done\n"
                         "head -c 50M /dev/zero >/root/fits; sync")
        build.run_script("rm /root/fits; sync")
        if storage != "tmpfs":
            # ext4 tells the disk what is free after the journal's commit, and nobody waits for that.
            wait_until(lambda: used(site) < 20 * MIB)
            assert loops(site) != []
            # Without a journal, making files again takes many times longer. This is has_journal in the superblock.
            (disk,) = site.root.glob(".layers/*/disk")
            with open(disk, "rb") as file:
                file.seek(1024 + 92)
                assert file.read(4)[0] & 4
        # What fails for another reason is not blamed on the disk.
        call = build.start_script("exit 3")
        assert call.wait() and "disk" not in call.stderr.decode(), call.output
        assert Path(build.exit_code_file).read_text(encoding="ascii").strip() == "3"
    wait_until(lambda: loops(site) == [])


def test_disk_max_of_files(make_site) -> None:
    """The number of files is limited, too, by one for each 16 KiB."""
    for storage in ("overlay", "tmpfs"):
        with make_site(storage=storage, disk_max="16M").started() as build:
            fails(build, "cd /root; for i in {1..3000}; do : >$i || exit 5; done", "The job has as many files as 16M of disk")


def test_disk_max_of_an_image(make_site, tiny_root: Path) -> None:
    """An image can have its own, more or less than others."""
    site = make_site(root=tiny_root, disk_max="16M")
    site.define(IMAGE, "disk_max: 40M")
    with site.started() as build:
        build.run_script("head -c 32M /dev/zero >/root/fits")
        fails(build, "head -c 32M /dev/zero >/root/more", "used up its 40M of disk")


@pytest.mark.supervisor_matters
def test_disk_max_killed(make_site, tiny_root: Path) -> None:
    """Whatever is killed, no loop device and no file of the job's stays."""
    site = make_site(root=tiny_root, disk_max="64M")
    for number in range(3):
        build = Build(site.runner(), Job()).begin()
        for pid in site.job_pids():
            if number == 0 or "supervise" in host.read(f"/proc/{pid}/cmdline"):
                host.kill(pid)
        wait_until(lambda: loops(site) == [])
        if number == 2:
            assert site.call("gc").returncode == 0
        build.cleanup()
        assert site.traces() == []


# Answers what the job writes to the directory that both have.
SERVICE = {"name": IMAGE, "alias": "s", "entrypoint": None, "command": [
    "sh", "-c", "until test -e /builds/job; do sleep 0.1; done; echo >/builds/service; exec sleep 1000"]}
ASK_SERVICE = "echo >/builds/job; until test -e /builds/service; do sleep 0.1; done"


@pytest.mark.supervisor_matters
@pytest.mark.parametrize("storage", ("overlay", "tmpfs"))
def test_disk_max_of_services(make_site, tiny_root: Path, storage: str) -> None:
    """What a job shares with its services is limited: with the job's root if that is on disk, else for itself. Nothing of it is
    left, also if all are killed."""
    site = make_site(root=tiny_root, storage=storage, disk_max="64M", network="none")
    with site.started(Job(image=IMAGE, services=[SERVICE])) as build:
        build.run_script(ASK_SERVICE)
        fails(build, "dd if=/dev/zero of=/builds/big bs=1M", "The job used up its 64M of disk (disk_max)")
        build.run_script("rm /builds/big; head -c 40M /dev/zero >/builds/half")
        if storage == "tmpfs":
            build.run_script("head -c 40M /dev/zero >/root/half")
        else:
            fails(build, FILL, "The job used up its 64M of disk (disk_max)")
        assert len(loops(site)) == (1 if storage == "tmpfs" else 2)  # a service has a disk of its own, too
        for pid in site.job_pids():
            host.kill(pid)
        wait_until(lambda: loops(site) == [])


def switch_quotas_on(where: Path, simple: bool) -> None:
    """On btrfs. Debian 12's programs do not know simple ones."""
    directory = os.open(where, os.O_RDONLY)
    try:
        fcntl.ioctl(directory, 0xC0109428, struct.pack("QQ", 4 if simple else 1, 0))  # BTRFS_IOC_QUOTA_CTL
    finally:
        os.close(directory)
    if not simple:
        subprocess.run(["btrfs", "quota", "rescan", "-w", where], check=True, capture_output=True)


def stale_quota_groups(where: Path) -> set[str]:
    """Numbers of subvolumes that are gone and still have a quota group. The kernel removes subvolumes some time later."""
    subprocess.run(["btrfs", "filesystem", "sync", where], check=True)
    uuid = subprocess.run(["findmnt", "-no", "UUID", where], check=True, capture_output=True, text=True).stdout.strip()
    subvolumes = subprocess.run(["btrfs", "subvolume", "list", where], check=True, capture_output=True, text=True).stdout
    known = {line.split()[1] for line in subvolumes.splitlines()} | {"5"}
    return {path.name[2:] for path in Path(f"/sys/fs/btrfs/{uuid}/qgroups").glob("0_*")} - known


def leave_in_trash(site: Site, name: str, noted: bool, subvolume: bool) -> None:
    """What somebody who was killed while removing a layer left."""
    left = site.root / ".trash" / f"{site.prefix}{name}.0123456789abcdef"
    path = left / "quota"
    left.mkdir(parents=True, exist_ok=True)
    subprocess.run(["btrfs", "-q", "subvolume", "create", path], check=True)
    (path / "upper").mkdir()
    (path / "upper/file").write_bytes(b"x" * 100000)
    if noted:
        number = subprocess.run(["btrfs", "inspect-internal", "rootid", path], check=True, capture_output=True).stdout
        (left / "quota-group").write_bytes(number.strip())
    if not subvolume:
        subprocess.run(["btrfs", "-q", "subvolume", "delete", path], check=True)


@pytest.mark.parametrize("simple", (True, False), ids=("simple", "full"))
def test_btrfs_quota(lab: Lab, make_site: Callable[..., Site], simple: bool) -> None:
    """disk_max without a second file system: jobs at the same time have limits of their own, a job cannot make subvolumes,
    which would have others, and no quota group is left, whoever is killed."""
    with lab.file_system("btrfs", "quota", "600M", mount="loop,commit=1") as where:  # it removes subvolumes soon
        root = where / "root"
        root.mkdir()
        shutil.copytree(lab.tiny_image(), root / IMAGE, symlinks=True)
        site, beside = (make_site(root=root, disk_max="16M", network="none") for _ in range(2))
        assert "by a file system in a sparse file; a quota of btrfs costs less" in site.call("doctor").stdout
        switch_quotas_on(where, simple)
        assert "16M for each job, by a quota group of btrfs" in site.call("doctor").stdout
        with site.started() as build, beside.started(Job(image=IMAGE, services=[SERVICE])) as other:
            other.run_script(ASK_SERVICE)
            fails(other, "dd if=/dev/zero of=/builds/big bs=1M", "The job used up its 16M of disk (disk_max)")
            fails(build, FILL, "The job used up its 16M of disk (disk_max)")
            build.run_script("rm /root/big; head -c 12M /dev/zero >/root/fits")
            other.run_script("rm /builds/big; head -c 12M /dev/zero >/root/fits; rm /root/fits")
            call = other.start_script("exit 3")
            assert call.wait() and "disk" not in call.stderr.decode(), call.output
            inside = os.open(f"/proc/{site.init_pid()}/root/root", os.O_RDONLY)
            with pytest.raises(OSError):
                fcntl.ioctl(inside, 0x5000940E, bytearray(struct.pack("q4088s", 0, b"sub")))  # BTRFS_IOC_SUBVOL_CREATE
            os.close(inside)
        for command in ("supervise", ""):
            build = Build(site.runner(), Job()).begin()
            for pid in site.job_pids():
                if command in host.read(f"/proc/{pid}/cmdline"):
                    host.kill(pid)
            build.cleanup()
            assert site.traces() == []
        for number, (noted, subvolume) in enumerate(((False, True), (True, True), (True, False))):
            leave_in_trash(site, str(number), noted, subvolume)
        assert site.call("gc").returncode == 0
        wait_until(lambda: site.call("gc").returncode == 0 and not list((root / ".trash").iterdir()) and
                   not stale_quota_groups(where))
        if not simple:  # a group that a snapshot joins later than its source cannot be counted without looking at all
            for command in (("qgroup", "create", "1/1", where), ("subvolume", "create", where / "a"),
                            ("subvolume", "snapshot", "-i", "1/1", where / "a", where / "b")):
                subprocess.run(["btrfs", *command], check=True, capture_output=True)
            subprocess.run(["btrfs", "filesystem", "sync", where], check=True)
            assert "sparse file; the quotas of btrfs are not used" in site.call("doctor").stdout
        host.remove_tree(root)


def test_full_disk_of_the_host(small_site: Site) -> None:
    """Without a limit of its own, a job can fill the host's disk, and its log says so."""
    reserve(small_site, 0)
    with small_site.started() as build:
        fails(build, FILL, "The host's disk is full")
        build.run_script("rm /root/big")


def test_xfs(lab: Lab, make_site: Callable[..., Site]) -> None:
    """Layers, a cache, a working copy and a limited disk on XFS; nothing of a job stays there but what is kept."""
    with lab.file_system("xfs", "whole", "400M") as where:
        root = where / "root"
        root.mkdir()
        shutil.copytree(lab.tiny_image(), root / IMAGE, symlinks=True)
        site = make_site(root=root, disk_max="48M", builds="persistent")
        for number in ("1", "2"):
            with site.started() as build:
                build.run_script(f"echo {number} >>/cache/file; echo {number} >>/builds/file; echo {number} >/etc/motd")
                fails(build, FILL, "The job used up its 48M of disk (disk_max)")
        with site.started() as build:
            assert build.run_script("cat /cache/file /builds/file").stdout == b"1\n2\n1\n2\n"
            build.run_script("test ! -s /etc/motd")
        wait_until(lambda: loops(site) == [])
        host.remove_tree(root)


def test_doctor(make_site, tiny_root: Path) -> None:
    """doctor tries the storage that jobs get, and says which it is."""
    for settings, expected in (({}, ("overlay (", "none (disk_max)")),
                               ({"disk_max": "64M"}, ("file (", "64M for each job, by a file system in a sparse file")),
                               ({"disk_max": "64M", "storage": "tmpfs"}, ("tmpfs (", "64M for each job, by a tmpfs"))):
        done = make_site(root=tiny_root, **settings).call("doctor")
        assert all(text in done.stdout for text in expected), str(done)
