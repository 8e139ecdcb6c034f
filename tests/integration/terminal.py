# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are used on a terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import Any

from pace import PATIENCE


class Terminal:
    """A program on a pseudo-terminal; as a context manager it is killed if it has not ended by then."""

    running: list["Terminal"] = []

    def __init__(self, argv: list[str], rows: int = 24, columns: int = 80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "vt100"
            os.execvp(argv[0], argv)
        self.resize(rows, columns)
        self.seen = b""
        self.running.append(self)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Kills it, unless somebody has waited for its end."""
        if self in self.running:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def resize(self, rows: int, columns: int) -> None:
        """Changes the window's size; the kernel signals SIGWINCH."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Types @text."""
        os.write(self.fd, text.encode())

    def expect(self, text: str, timeout: float = PATIENCE) -> str:
        """Reads until @text came; what came until then is forgotten, and returned without it."""
        deadline = time.monotonic() + timeout
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not self._read():
                raise AssertionError(f"ended without {text!r}: {self.seen!r}")
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode(errors="replace")

    def _read(self) -> bool:
        if select.select([self.fd], [], [], 1)[0]:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return False
            self.seen += data
            return bool(data)
        return True

    def wait(self) -> int:
        """Exit status, or minus the signal's number."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.seen
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        self.running.remove(self)
        return os.waitstatus_to_exitcode(status)


def run_on_terminals(argv: list[str], columns: int, **kwargs: Any) -> tuple[int, str, str]:
    """Runs a program to its end, with stdout and stderr on terminals of their own: its exit status and what each got. @kwargs
    are for Popen."""
    shown, said = pty.openpty(), pty.openpty()
    for _, slave in (shown, said):
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
    with subprocess.Popen(argv, stdin=said[1], stdout=shown[1], stderr=said[1], start_new_session=True, **kwargs) as process:
        text = {shown[0]: b"", said[0]: b""}
        for _, slave in (shown, said):
            os.close(slave)
        reading = set(text)
        while reading:
            for fd in select.select(reading, [], [])[0]:
                try:
                    data = os.read(fd, 65536)
                except OSError:  # nobody has it open any more
                    data = b""
                text[fd] += data
                if not data:
                    reading.remove(fd)
                    os.close(fd)
        status = process.wait()
    out, err = (part.decode() for part in text.values())
    return status, out, err
