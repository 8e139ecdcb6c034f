# SPDX-License-Identifier: GPL-3.0-or-later
"""How long things may take here. Limits end what hangs; nothing is judged by the time it took.

They are meant for a machine with two cores of which nobody else makes use, and are stretched by how much slower this
one turns out to be: measured when a limit is reached, as others may have come to work meanwhile.
"""

import hashlib
import os
import signal
import statistics
import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator

# What work() takes on the machine that limits are meant for.
QUIET_SECONDS = 0.06
PROGRAMS, BYTES = 20, 64 << 20
# How often it is measured: on a busy machine one of five takes twice as long as the others.
MEASUREMENTS = 5

# How long one test may take, and each half of its fixtures; and how often it is told again that it is over.
TEST_SECONDS = 300
AGAIN_SECONDS = 60
# For whatever waits inside a test: for ever, as it is the test that has a limit.
PATIENCE = 24 * 3600


class TookTooLong(Exception):
    """A test hangs."""


def work() -> float:
    """Does what tests do most, and returns how many seconds that took."""
    begin = time.monotonic()
    hashlib.sha256(bytes(BYTES))
    for _ in range(PROGRAMS):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return time.monotonic() - begin


def measure() -> float:
    """How many times slower this machine is at the moment than the one that limits are meant for; 1 if it is not."""
    return max(1, statistics.median(work() for _ in range(MEASUREMENTS)) / QUIET_SECONDS)


class Limit:
    """A time limit that begins now."""

    def __init__(self, seconds: float):
        self._seconds, self._begin, self._slowness = seconds, time.monotonic(), 1.0

    def left(self) -> float:
        """The seconds until it is reached; 0 if it is."""
        passed = time.monotonic() - self._begin
        if passed > self._seconds * self._slowness:
            self._slowness = max(self._slowness, measure())
        return max(0, self._seconds * self._slowness - passed)

    def reached(self) -> bool:
        """Whether nobody needs to wait any more."""
        return self.left() == 0


def wait_until(condition: Callable[[], object], pause: float = 0.01) -> None:
    """Asks again and again until the answer is yes. On a busy machine, and where asking takes long, it asks less often: who
    is waited for needs the processor, too."""
    deadline = time.monotonic() + PATIENCE
    while True:
        begin = time.monotonic()
        if condition():
            return
        assert begin < deadline
        time.sleep(max(pause, 3 * (time.monotonic() - begin)))


@contextmanager
def limited(what: str, seconds: float = TEST_SECONDS) -> Iterator[None]:
    """Interrupts what takes longer by TookTooLong, wherever it waits; again and again, as clearing up may hang, too."""
    limit = Limit(seconds)

    def check(_number: int, _frame: Any) -> None:
        if not limit.reached():
            signal.setitimer(signal.ITIMER_REAL, limit.left() + 0.1, AGAIN_SECONDS)
            return
        raise TookTooLong(f"{what} took longer than {seconds:.0f} s, or what that is on a machine as slow as this one")

    before = signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
