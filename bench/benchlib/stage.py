# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls one stage of a job as gitlab-runner does, and times it."""

import ctypes
import os
import select
import signal
import time
from dataclasses import dataclass, field

TIMEOUT_SEC = 300
PR_SET_CHILD_SUBREAPER = 36

# Python ignores these in itself; a program must not inherit that.
DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)


class BenchError(Exception):
    """Something that makes the measurement worthless; the text is for the user."""


@dataclass
class Call:
    argv: list
    seconds: float
    status: int
    stdout: bytes
    stderr: bytes
    counted: int = 0  # bytes on stdout where it was counted instead of kept

    def check(self):
        if self.status != 0:
            said = b"\n".join(part.strip() for part in (self.stdout, self.stderr) if part.strip())
            raise BenchError(f"'{' '.join(self.argv)}' ended with status {self.status}:\n"
                             f"{said.decode(errors='replace')[-4000:]}")
        return self


@dataclass
class Player:
    """Plays the runner's part. One per process: it owns SIGCHLD, and adopts whatever its calls leave behind,
    so that it sees when that ends and what CPU time it took."""

    _wakeup: int = -1
    _reaped: dict = field(default_factory=dict)

    def __post_init__(self):
        self._wakeup, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise BenchError(f"Cannot become a subreaper: {os.strerror(ctypes.get_errno())}")

    def call(self, argv, environment, stdin="/dev/null", count=False):
        """Runs @argv in a process group of its own until it has ended and both pipes have."""
        out, out_child = os.pipe2(os.O_CLOEXEC)
        err, err_child = os.pipe2(os.O_CLOEXEC)
        kept = {out: bytearray(), err: bytearray()}
        pid, done = None, False
        begin = time.perf_counter()
        try:
            try:
                pid = os.posix_spawn(
                    argv[0], argv, environment, setpgroup=0, setsigdef=DEFAULT_SIGNALS,
                    file_actions=((os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
                                  (os.POSIX_SPAWN_DUP2, out_child, 1),
                                  (os.POSIX_SPAWN_DUP2, err_child, 2)))
            except OSError as e:
                raise BenchError(f"Cannot start '{argv[0]}': {e.strerror}") from e
            finally:
                os.close(out_child)
                os.close(err_child)
            counted = self._read_to_end(pid, kept, out if count else None, begin + TIMEOUT_SEC, argv)
            seconds = time.perf_counter() - begin
            done = True
        finally:
            if pid is not None and not done:
                self._kill(pid)
            for fd in (out, err):
                os.close(fd)
        status = os.waitstatus_to_exitcode(self._reaped.pop(pid))
        return Call(argv, seconds, status, bytes(kept[out]), bytes(kept[err]), counted)

    def _read_to_end(self, pid, kept, count_fd, deadline, argv):
        poll = select.poll()
        for fd in (*kept, self._wakeup):
            poll.register(fd, select.POLLIN)
        open_pipes, counted, buffer = set(kept), 0, bytearray(65536)
        while open_pipes or pid not in self._reaped:
            ready = poll.poll(max(0, deadline - time.perf_counter()) * 1000)
            if not ready:
                raise BenchError(f"'{' '.join(argv)}' did not end within {TIMEOUT_SEC} s")
            for fd, _ in ready:
                if fd == self._wakeup:
                    os.read(fd, 4096)
                    self.reap()
                    continue
                n = os.readv(fd, [buffer])
                if n == 0:
                    poll.unregister(fd)
                    open_pipes.remove(fd)
                elif fd == count_fd:
                    counted += n
                else:
                    kept[fd] += buffer[:n]
        return counted

    def _kill(self, pid):
        if pid not in self._reaped:
            os.killpg(pid, signal.SIGKILL)
            while pid not in self._reaped:
                self.reap()
                time.sleep(0.001)
        self._reaped.pop(pid)

    def reap(self):
        """Collects what has ended. Returns whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._reaped[pid] = status

    def settle(self, timeout_sec=30):
        """Waits until nothing that the calls left behind is alive. Returns the seconds that took."""
        begin = time.perf_counter()
        while self.reap():
            if time.perf_counter() - begin > timeout_sec:
                raise BenchError(f"Processes are still there {timeout_sec} s after cleanup returned")
            select.select([self._wakeup], [], [], 1)
            try:
                os.read(self._wakeup, 4096)
            except BlockingIOError:
                pass
        self._reaped.clear()
        return time.perf_counter() - begin
