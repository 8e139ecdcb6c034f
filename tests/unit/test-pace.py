# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of the integration tests: they end what hangs, and wait longer on a machine that is slow."""

import os
import signal
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import pace  # noqa: E402


class Limits(unittest.TestCase):
    def test_hanging(self):
        """What waits for ever is interrupted, and so is the clearing up that waits for it."""
        seen = []
        with mock.patch("pace.measure", return_value=1), mock.patch("pace.AGAIN_SECONDS", 1):
            with self.assertRaisesRegex(pace.TookTooLong, "the cat took longer"):
                with pace.limited("the cat", 1):
                    try:
                        signal.pause()
                        time.sleep(1000)
                    except pace.TookTooLong:
                        seen.append("first")
                        time.sleep(1000)
        self.assertEqual(seen, ["first"])
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0, 0))

    def test_in_time(self):
        """Afterwards nothing interrupts any more."""
        with pace.limited("the cat", 1000):
            pass
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0, 0))
        self.assertEqual(signal.getsignal(signal.SIGALRM), signal.SIG_DFL)

    def test_slow_machine(self):
        """On a machine that is slow at that moment the limit is reached later."""
        with mock.patch("pace.time.monotonic", return_value=0) as clock, mock.patch("pace.measure") as measure:
            limit = pace.Limit(10)
            clock.return_value, measure.return_value = 9, 1
            self.assertFalse(limit.reached())
            clock.return_value, measure.return_value = 11, 3
            self.assertEqual(limit.left(), 19)
            clock.return_value, measure.return_value = 31, 2
            self.assertTrue(limit.reached())

    def test_measure(self):
        """One measurement that something disturbs does not count."""
        seconds = [3 * pace.QUIET_SECONDS] * pace.MEASUREMENTS
        seconds[1] = 20 * pace.QUIET_SECONDS
        with mock.patch("pace.work", side_effect=seconds):
            self.assertAlmostEqual(pace.measure(), 3)
        with mock.patch("pace.work", return_value=pace.QUIET_SECONDS / 2):
            self.assertEqual(pace.measure(), 1)

    def test_work(self):
        """It is done, and reaps what it started."""
        self.assertGreater(pace.work(), 0)
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
