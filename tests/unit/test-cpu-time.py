#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Usage: test-cpu-time.py SOURCE. How tools/lib/cpu-time passes on a status, and what it counts."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(sys.argv.pop(1)) / "tools" / "lib" / "cpu-time"
BURN = "python3 -c 'import time\nwhile time.process_time() < 0.2: pass'"
# Ends when the orphan has ended and somebody has waited for it.
ORPHAN = """(setsid sh -c "echo \\$\\$; exec $0" &) | { read pid; while [ -e /proc/$pid ]; do :; done; }"""


class CpuTime(unittest.TestCase):
    """Each command adds a line to the file."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name) / "cpu"

    def call(self, script: str) -> int:
        """Runs a shell script."""
        return subprocess.run([PROGRAM, self.file, "/bin/sh", "-c", script, BURN], check=False).returncode

    def test_status(self) -> None:
        """That of the command; 128 + N for a signal."""
        self.assertEqual(self.call("exit 7"), 7)
        self.assertEqual(self.call("kill -9 $$"), 128 + 9)
        self.assertEqual(len(self.file.read_text().split()), 2)

    def test_children(self) -> None:
        """Those that it waited for, and those that outlived the process that started them."""
        for script in (BURN, ORPHAN):
            self.file.unlink(missing_ok=True)
            self.assertEqual(self.call(script), 0)
            self.assertGreaterEqual(float(self.file.read_text()), 0.2)


if __name__ == "__main__":
    unittest.main()
