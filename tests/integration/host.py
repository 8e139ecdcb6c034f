# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of jobs on this host: processes, mounts, cgroups, units, locks, files, and changes of a tree."""

import contextlib
import fcntl
import functools
import hashlib
import itertools
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

from pace import wait_until

CGROUPS = Path("/sys/fs/cgroup")
COMMAND_BYTES = 1 << 15
PF_EXITING = 4  # linux/sched.h
UID_LOCKS = Path("/run/systemd/nspawn-uid")
MACHINE_DIRS = [Path("/run/systemd/machines"), Path("/run/systemd/nspawn/propagate"),
                Path("/run/systemd/nspawn/unix-export")]


def has_simple_quotas() -> bool:
    """Whether the kernel has simple quotas of btrfs: those came with Linux 6.7."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return bool(release) and tuple(map(int, release.groups())) >= (6, 7)


def kill(pid: int) -> None:
    """SIGKILL to a process, which may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def has_systemd() -> bool:
    """Whether systemd is PID 1 here: what sd_booted() asks."""
    return os.path.isdir("/run/systemd/system")


def systemd_version() -> str:
    """The version of the installed systemd-nspawn."""
    done = subprocess.run(["systemd-nspawn", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0]


def read(path: str | Path) -> str:
    """The file's text, or nothing if it is gone (entries of /proc and /sys may vanish at any time)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b"")).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _command_line(pid: str) -> str:
    # Called for each process of the host, again and again: most lines need one read.
    try:
        descriptor = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        line = os.read(descriptor, COMMAND_BYTES)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return read(f"/proc/{pid}/cmdline") if len(line) == COMMAND_BYTES else line.decode(errors="replace")


def processes() -> dict[int, str]:
    """All living processes with their command lines. Those without one do not count: the kernel's, and those that have
    ended, or are about to and have given up their memory."""
    lines = {int(entry): _command_line(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    return {pid: line.replace("\0", " ").strip() for pid, line in lines.items() if line}


def open_files(pid: int) -> dict[int, str]:
    """What that process has open, by the number of the descriptor; without what it closes meanwhile."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


def namespace(pid: int | str, kind: str) -> str:
    """Identity of a namespace of a process."""
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def namespace_owner(pid: int) -> int:
    """The user of the host to whom the user namespace of a process belongs."""
    owner = bytearray(4)
    with open(f"/proc/{pid}/ns/user", "rb") as file:
        fcntl.ioctl(file, 0xb704, owner)  # NS_GET_OWNER_UID
    return int.from_bytes(owner, sys.byteorder)


def unmount(where: str | Path) -> None:
    """Unmounts a file system as soon as nobody uses it any more: who empties the trash there, or measures what is kept, does
    so behind the driver's back."""
    def is_done() -> bool:
        done = subprocess.run(["umount", where], env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "busy" in done.stderr, done
        return done.returncode == 0
    wait_until(is_done)


def mounts() -> list[str]:
    """The lines of our own mountinfo."""
    return read("/proc/self/mountinfo").splitlines()


@functools.cache
def _siphash(data: bytes) -> int:
    """SipHash-2-4 with the key 0, as its paper has it."""
    mask = (1 << 64) - 1
    v = [0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573]

    def rotate(x: int, bits: int) -> int:
        return (x << bits | x >> (64 - bits)) & mask

    def rounds(n: int) -> None:
        for _ in range(n):
            for a, b, bits in ((0, 1, 13), (2, 3, 16)):
                v[a] = (v[a] + v[b]) & mask
                v[b] = rotate(v[b], bits) ^ v[a]
            v[0] = rotate(v[0], 32)
            for a, b, bits in ((2, 1, 17), (0, 3, 21)):
                v[a] = (v[a] + v[b]) & mask
                v[b] = rotate(v[b], bits) ^ v[a]
            v[2] = rotate(v[2], 32)

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i:i + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def machine_prefix(runtime_dir: Path) -> str:
    """What the names of the machines of a configuration with that runtime_dir begin with."""
    path = os.path.realpath(runtime_dir)
    if path == os.path.realpath("/run/nspawn-runner"):
        return "nspawn-runner-job-"
    return f"nspawn-runner-{_siphash(path.encode() + bytes(1)) & 0xffffffff:08x}-"


def cgroups_named(pattern: str) -> list[str]:
    """Directories below any cgroup hierarchy whose path matches @pattern. Those of nested hosts, in which the same tests
    may be running just now, are not this host's."""
    wanted, found, pending = re.compile(pattern), [], [str(CGROUPS)]
    while pending:
        path = pending.pop()
        if wanted.search(path):
            found.append(path)
        try:
            if os.lstat(path).st_nlink == 2:  # without any below it, of its dozens of files none needs a look
                continue
            with os.scandir(path) as entries:
                pending += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)
                            and not entry.name.startswith("nspawn-runner-test-")]
        except OSError:
            continue
    return found


def is_ending(pid: int) -> bool:
    """Was it killed, or does it exit? The kernel needs a moment to take it down, and nobody may have waited for it: its
    parent is gone."""
    status = read(f"/proc/{pid}/status")
    pending = re.findall(r"^(?:SigPnd|ShdPnd):\t(\w+)$", status, re.MULTILINE)
    flags = read(f"/proc/{pid}/stat").rpartition(")")[2].split()[6:7]
    return (not flags or bool(int(flags[0]) & PF_EXITING) or
            any(int(signals, 16) & 1 << signal.SIGKILL - 1 for signals in pending))


def units_named(pattern: str) -> list[str]:
    """Loaded units of the host's systemd whose name matches; none where there is no systemd."""
    if not has_systemd():
        return []
    done = subprocess.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full"],
                          capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    return [name for name in names if re.search(pattern, name)]


def uid_locks() -> set[str]:
    """Names of the files with which nspawn (and we) reserve UID ranges."""
    return set(os.listdir(UID_LOCKS)) if UID_LOCKS.is_dir() else set()


def _is_locked(path: Path) -> bool:
    """Whether anyone holds the kind of lock (of an open file description) that nspawn uses there."""
    with open(path, "rb") as file:
        layout = "hhqqi4x"  # struct flock: type, whence, start, length, pid
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
        # It may have been removed between our listing and now.
        return found[0] != fcntl.F_UNLCK or os.fstat(file.fileno()).st_nlink == 0


def _is_forgotten(name: str) -> bool:
    # A lock file is not locked for a moment when it has just been made or is about to be removed, perhaps by a
    # container that is none of ours: one that stays so is forgotten.
    for _ in range(20):
        try:
            if _is_locked(UID_LOCKS / name):
                return False
        except OSError:
            return False
        time.sleep(0.02)
    return True


def held_uid_locks(names: set[str]) -> set[str]:
    """Those of the lock files that are there and that somebody holds."""
    return {name for name in names & uid_locks() if _is_locked(UID_LOCKS / name)}


def unheld_uid_locks(holder: str) -> list[str]:
    """Lock files that nobody holds and of which the last holder is called so: our own program writes it there."""
    return [name for name in sorted(uid_locks()) if re.search(holder, read(UID_LOCKS / name)) and _is_forgotten(name)]


def _entry(path: str, info: os.stat_result, content: bool) -> str:
    size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
    known = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, info.st_ino, info.st_rdev, size, info.st_mtime_ns,
             info.st_ctime_ns)
    if not content:
        return repr(known)
    link = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
    attributes = sorted((name, os.getxattr(path, name, follow_symlinks=False))
                        for name in os.listxattr(path, follow_symlinks=False))
    data = ""
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            data = hashlib.file_digest(file, "sha256").hexdigest()
    return repr((*known, link, attributes, data))


def fingerprint(root: str | Path, content: bool = False) -> dict[str, str]:
    """State of every file below and including @root: type, mode, owner, links, times, and, if asked for, target, xattrs
    and contents. The change time alone, which nobody can set, already tells of every change."""
    root = str(root)
    state = {".": _entry(root, os.lstat(root), content)}
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                state[entry.path[len(root) + 1:]] = _entry(entry.path, info, content)
                if stat.S_ISDIR(info.st_mode):
                    pending.append(entry.path)
    return state


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs between two fingerprints, one line each."""
    out = [f"gone: {path}" for path in sorted(before.keys() - after.keys())]
    out += [f"new: {path}" for path in sorted(after.keys() - before.keys())]
    out += [f"changed: {path}: {before[path]} -> {after[path]}"
            for path in sorted(before.keys() & after.keys()) if before[path] != after[path]]
    return out


def remove_tree(*trees: str | Path) -> None:
    """Removes directories, with btrfs subvolumes wherever they are in them, and everything immutable-free."""
    paths = [path for path in map(Path, trees) if path.exists() or path.is_symlink()]
    if not paths or subprocess.run(["rm", "-rf", "--one-file-system", "--", *paths], stderr=subprocess.DEVNULL,
                                   check=False).returncode == 0:
        return
    for top, _, _ in itertools.chain.from_iterable(os.walk(path, topdown=False) for path in paths):
        if os.lstat(top).st_ino == 256:
            subprocess.run(["btrfs", "subvolume", "delete", top], capture_output=True, check=False)
    subprocess.run(["rm", "-rf", "--", *paths], check=True)
