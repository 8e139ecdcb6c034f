# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what of a job is there: processes, mounts, cgroups, units, locks, directories."""

import os
import select
import subprocess
import time
from contextlib import suppress

from .place import systemd_is_here
from .stage import BenchError

LOCK_DIRECTORIES = ("/run/systemd/nspawn-uid/", "/run/systemd/nspawn/locks/")


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def descendants(pid):
    """Everything below @pid in the tree of processes; not @pid itself."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in read(f"/proc/{pid}/task/{task}/children").split():
            found.append(int(child))
            try:
                found += descendants(int(child))
            except FileNotFoundError:
                pass
    return found


def processes(marks):
    """What belongs to a job: below this process, or in a cgroup that carries one of @marks."""
    found = set(descendants(os.getpid()))
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            cgroups = read(f"/proc/{entry}/cgroup")
            if any(mark in cgroups for mark in marks):
                found.add(int(entry))
    return found


def cgroups(marks):
    # Other people's cgroups come and go meanwhile: os.walk passes over what has vanished.
    return [f"{directory}/{name}" for directory, names, _ in os.walk("/sys/fs/cgroup") for name in names
            if any(mark in name for mark in marks)]


def mounts(marks):
    return [line for line in read("/proc/self/mountinfo").splitlines() if any(mark in line for mark in marks)]


def units(marks):
    if not systemd_is_here():
        return []
    listed = subprocess.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full"],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if any(mark in line for mark in marks)]


def locks(pids):
    found = set()
    for pid in pids:
        with suppress(OSError):  # ended meanwhile
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):  # closed meanwhile
                    target = os.readlink(f"/proc/{pid}/fd/{fd}")
                    if target.startswith(LOCK_DIRECTORIES):
                        found.add(target)
    return found


class Watch:
    """Remembers all there is of a job while it lives, and tells later what of that is left."""

    def __init__(self, contender, job):
        self._marks = contender.marks(job)
        self._paths = contender.paths(job)
        pids = processes(self._marks)
        self._locks = locks(pids)
        self._pidfds = []
        for pid in pids:
            try:
                self._pidfds.append(os.pidfd_open(pid))
            except ProcessLookupError:
                pass
        if not self._pidfds or not self._paths:
            raise BenchError(f"{contender.name}: no process or no directory of the running job can be found,"
                             " so nothing could be said about what is left of it")

    def living_processes(self):
        """Of those seen before. Takes microseconds: to be asked first."""
        if not self._pidfds:
            return 0
        poll = select.poll()
        for fd in self._pidfds:
            poll.register(fd, select.POLLIN)
        return len(self._pidfds) - len(poll.poll(0))

    def left(self):
        """Counts by kind."""
        return {
            "processes": self.living_processes(),
            "directories": sum(os.path.lexists(path) for path in self._paths),
            "locks": sum(os.path.exists(path) for path in self._locks),
            "mounts": len(mounts(self._marks)),
            "cgroups": len(cgroups(self._marks)),
            "units": len(units(self._marks)),
        }

    def until_gone(self, timeout_sec=15):
        """Seconds until nothing is left; None if something still is."""
        begin = time.perf_counter()
        while any(self.left().values()):
            if time.perf_counter() - begin > timeout_sec:
                return None
            time.sleep(0.002)
        return time.perf_counter() - begin

    def close(self):
        for fd in self._pidfds:
            os.close(fd)
        self._pidfds.clear()
