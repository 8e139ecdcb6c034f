# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground the benchmark stands on: scratch directories, images, a loop-mounted btrfs, helper programs.

Everything made here is undone by Place.close(), in reverse order, whatever happened in between.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time

from .stage import BenchError

LOOP_CTL_GET_FREE = 0x4C82
LOOP_MAJOR = 7
SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def sh(*argv):
    """Runs a command that has to succeed; returns its output."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as e:
        raise BenchError(f"Cannot run '{argv[0]}': {e.strerror}") from e
    if done.returncode != 0:
        raise BenchError(f"'{' '.join(argv)}' failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def systemd_is_here():
    return os.path.isdir("/run/systemd/system")


def mounts_below(directory):
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        points = [line.split(" ")[4] for line in f]
    return [point for point in reversed(points) if (point + "/").startswith(directory + "/")]


def unmount_below(directory):
    for point in mounts_below(directory):
        subprocess.run(["umount", "-l", point], stdin=subprocess.DEVNULL, check=False)


class Place:
    def __init__(self, image, driver, parent):
        self._stack = contextlib.ExitStack()
        self._image = image
        self._btrfs_root = None
        self.driver = driver
        try:
            self._make(parent)
        except BaseException:
            self.close()
            raise

    def _make(self, parent):
        # /dev/shm and the like would make the overlay driver look faster than it is.
        self.scratch = tempfile.mkdtemp(prefix="nspawn-runner-bench.", dir=parent)
        self._stack.callback(shutil.rmtree, self.scratch)
        # Sockets live there, whose paths must be short.
        self.runtime = tempfile.mkdtemp(prefix="nspawn-runner-bench.", dir="/run")
        self._stack.callback(shutil.rmtree, self.runtime)
        self._stack.callback(unmount_below, self.scratch)

        self.jobs = f"{self.scratch}/jobs"
        os.mkdir(self.jobs)
        self._numbers = f"{self.scratch}/numbers"
        with open(self._numbers, "w", encoding="ascii") as f:
            f.write(str(int(time.time()) * 1000))
        if not systemd_is_here():
            self._enter_cgroup()

        self.floor, self.peak = (self._build(name) for name in ("floor", "peak"))
        self.plain_root = f"{self.scratch}/images"
        os.mkdir(self.plain_root, 0o755)
        copy_tree(self._image, f"{self.plain_root}/image")

    def close(self):
        self._stack.close()

    def next_number(self):
        """A job number that no other process of this run gets."""
        with open(self._numbers, "r+", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            number = int(f.read()) + 1
            f.seek(0)
            f.write(str(number))
        return number

    @property
    def btrfs_root(self):
        if self._btrfs_root is None:
            self._btrfs_root = self.make_file_system("btrfs", 16)
            self.add_subvolume(self._image, f"{self._btrfs_root}/image")
        return self._btrfs_root

    def make_file_system(self, kind, size_gib):
        """A fresh btrfs or xfs in a file, mounted. Returns its mount point."""
        if not shutil.which(f"mkfs.{kind}"):
            raise BenchError(f"mkfs.{kind} is missing (package {kind}progs or {kind}-progs); --only can leave it out")
        backing, point = f"{self.scratch}/{kind}.raw", f"{self.scratch}/{kind}"
        with open(backing, "wb") as f:
            f.truncate(size_gib << 30)
        sh(f"mkfs.{kind}", "-q", backing)
        os.mkdir(point)
        device = self._attach(backing)
        sh("mount", device, point)
        self._stack.callback(sh, "umount", point)
        return point

    def _attach(self, backing):
        # Inside a container the node of a loop device does not appear by itself.
        with open("/dev/loop-control", "rb") as control:
            for _ in range(20):
                number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                device = f"/dev/loop{number}"
                if not os.path.exists(device):
                    os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(LOOP_MAJOR, number))
                    self._stack.callback(os.unlink, device)
                try:
                    sh("losetup", device, backing)
                except BenchError as e:
                    if "busy" not in str(e):
                        raise
                    continue  # somebody was faster
                self._stack.callback(sh, "losetup", "--detach", device)
                return device
        raise BenchError("No free loop device for the btrfs image")

    def add_subvolume(self, source, target):
        sh("btrfs", "-q", "subvolume", "create", target)
        copy_tree(source, target)

    def _build(self, name):
        """The program as the build made it, else compiled here."""
        if self.driver:
            built = f"{os.path.dirname(os.path.realpath(self.driver))}/bench/{name}"
            if os.access(built, os.X_OK):
                return built
        target = f"{self.scratch}/{name}"
        sh("cc", "-O2", "-static", "-o", target, f"{SOURCES}/{name}.c")
        return target

    def _enter_cgroup(self):
        """Moves into a cgroup of its own: systemd-nspawn makes children in the one it is started in."""
        for hierarchy in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if not os.path.exists(f"{hierarchy}/cgroup.procs"):
                continue
            own = f"{hierarchy}/nspawn-runner-bench.{os.getpid()}"
            os.mkdir(own)
            self._stack.callback(remove_cgroup, own)
            move_into(own)
            self._stack.callback(move_into, hierarchy)


def move_into(cgroup):
    with open(f"{cgroup}/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(os.getpid()))


def remove_cgroup(path):
    """Removes a cgroup made here, and first whatever an interrupted step left in it."""
    for directory, _, _ in os.walk(path, topdown=False):
        for _ in range(1000):
            with open(f"{directory}/cgroup.procs", encoding="ascii") as f:
                pids = f.read().split()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            if not pids:
                break
            time.sleep(0.01)
        os.rmdir(directory)


def copy_tree(source, target):
    os.makedirs(target, exist_ok=True)
    sh("cp", "-a", "--reflink=auto", f"{source}/.", target)
