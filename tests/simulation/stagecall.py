# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of a driver executable, as gitlab-runner makes it.

Standard input is /dev/null, standard output and error are two pipes, the process leads a new process
group. A call has ended only when the process has exited *and* both pipes have reached end-of-file.
Ending a call early means SIGTERM to the group, SIGKILL after a grace time, and giving up after another.
"""

import os
import signal
import subprocess
import threading
import time
from typing import Callable

Sink = Callable[[bytes], None]


class KillError(Exception):
    """The process, or what holds its pipes, survived SIGKILL."""


class StageCall:
    """A started driver process. Output is kept, unless a sink is given: it then gets each piece of its stream."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: str,
                 stdout_sink: Sink | None = None, stderr_sink: Sink | None = None):
        self.argv = argv
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, process_group=0, restore_signals=True)
        self.pid = self.process.pid
        self._ended = threading.Event()
        self._readers = [
            self._start_reader(self.process.stdout, stdout_sink or self._output["stdout"].extend),
            self._start_reader(self.process.stderr, stderr_sink or self._output["stderr"].extend)]
        threading.Thread(target=self._wait_for_end, daemon=True).start()

    @property
    def stdout(self) -> bytes:
        """What has arrived on standard output so far (nothing when a sink was given)."""
        return bytes(self._output["stdout"])

    @property
    def stderr(self) -> bytes:
        """What has arrived on standard error so far (nothing when a sink was given)."""
        return bytes(self._output["stderr"])

    @property
    def output(self) -> str:
        """Both streams as text, standard output first."""
        return (self.stdout + self.stderr).decode(errors="replace")

    @property
    def returncode(self) -> int | None:
        """Exit status; Go's ExitCode() gives -1 for every signal, so this does too."""
        code = self.process.returncode
        return -1 if code is not None and code < 0 else code

    @staticmethod
    def _start_reader(pipe, sink: Sink) -> threading.Thread:
        def copy() -> None:
            with pipe:
                while chunk := os.read(pipe.fileno(), 32768):
                    sink(chunk)
        reader = threading.Thread(target=copy, daemon=True)
        reader.start()
        return reader

    def _wait_for_end(self) -> None:
        self.process.wait()
        for reader in self._readers:
            reader.join()
        self._ended.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for exit and end-of-file; False when that did not happen within @timeout seconds."""
        return self._ended.wait(timeout)

    def wait_for_output(self, marker: bytes) -> None:
        """Returns as soon as @marker was printed on standard output."""
        while marker not in self._output["stdout"]:
            if self._ended.is_set():
                raise AssertionError(f"{marker!r} not printed by {self.argv}: {self.output}")
            time.sleep(0.005)

    def signal_group(self, number: int) -> None:
        """Signals the whole process group, which may be gone already."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def terminate(self, graceful: float = 600, force: float = 10) -> None:
        """What gitlab-runner does on timeout, cancel and abort."""
        self.signal_group(signal.SIGTERM)
        if self.wait(graceful):
            return
        self.signal_group(signal.SIGKILL)
        if not self.wait(force):
            raise KillError(f"failed to kill process PID={self.pid}, likely process is dormant")
