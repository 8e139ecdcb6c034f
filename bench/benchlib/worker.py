# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a measurement in a process of its own, so that one Player owns its signals and children."""

import os
import pickle
import signal
import traceback

from .stage import BenchError, Player

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals():
    """The first signal interrupts, so that all can be tidied up; the following ones must not disturb that."""
    def stop(number, _frame):
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for each in STOP_SIGNALS:
        signal.signal(each, stop)


class Worker:
    """Calls function(player, *arguments) in a child process; result() is what that returned."""

    def __init__(self, function, *arguments):
        self._read, write = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._read)
            self._work(write, function, arguments)
        os.close(write)

    @staticmethod
    def _work(write, function, arguments):
        status = 1
        try:
            try:
                outcome = function(Player(), *arguments)
            except BenchError as e:
                outcome = e
            with open(write, "wb") as f:
                pickle.dump(outcome, f)
            status = 0
        except KeyboardInterrupt:
            pass
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def result(self):
        with open(self._read, "rb") as f:
            data = f.read()
        _, status = os.waitpid(self._pid, 0)
        self._pid = None
        if status != 0:
            raise BenchError("A measurement was ended from outside or failed; see above")
        outcome = pickle.loads(data)
        if isinstance(outcome, BenchError):
            raise outcome
        return outcome

    def stop(self):
        """Interrupts it and waits until it has tidied up. Does nothing if it has ended."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGTERM)
            os.waitpid(self._pid, 0)
            self._pid = None


def in_workers(*tasks):
    """Runs (function, *arguments) tuples at the same time and returns their results in order."""
    workers = []
    try:
        for task in tasks:
            workers.append(Worker(*task))
        return [worker.result() for worker in workers]
    finally:
        for worker in workers:
            worker.stop()
