# SPDX-License-Identifier: GPL-3.0-or-later
"""Which reports of valgrind are bad ones. Called by meson as `python3 test-valgrind-report.py SOURCE`."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(sys.argv.pop(1)) / "tools" / "lib"))

from valgrind_report import findings  # pylint: disable=wrong-import-position

BEGIN = """\
Memcheck, a memory error detector
Copyright (C) 2002-2024, and GNU GPL'd, by Julian Seward et al.
Using Valgrind-3.24.0 and LibVEX; rerun with -h for copyright info
Command: nspawn-runner run script build_script
Parent PID: 7

"""
INVALID = """\
Invalid read of size 1
   at 0x10923B: main (main.c:5)
 Address 0x4a41068 is 0 bytes after a block of size 40 alloc'd
   at 0x48417B4: malloc (vg_replace_malloc.c:446)

"""
HEAP = """
HEAP SUMMARY:
    in use at exit: 40 bytes in 1 blocks
  total heap usage: 1 allocs, 0 frees, 40 bytes allocated

"""
LOST = """\
40 bytes in 1 blocks are {} lost in loss record 1 of 1
   at 0x48417B4: malloc (vg_replace_malloc.c:446)
   by 0x109191: main (main.c:5)

"""
INDIRECTLY = LOST.format("definitely").replace("40 bytes", "1,064 (40 direct, 1,024 indirect) bytes")
LEAKS = """\
LEAK SUMMARY:
   definitely lost: 40 bytes in 1 blocks
   indirectly lost: 0 bytes in 0 blocks
     possibly lost: 0 bytes in 0 blocks
   still reachable: 0 bytes in 0 blocks
        suppressed: 0 bytes in 0 blocks

"""
FREED = "All heap blocks were freed -- no leaks are possible\n\n"
END = """\
For lists of detected and suppressed errors, rerun with: -s
ERROR SUMMARY: 1 errors from 1 contexts (suppressed: 0 from 0)
"""
TERMINATED = """\

Process terminating with default action of signal {}
   at 0x492FDD0: poll (poll.c:29)
   by 0x1091D0: main (main.c:5)
"""


def report(*parts: str, more: str = "") -> str:
    """As valgrind writes it; @more are lines of its own."""
    return "".join(f"==4711== {line}\n" for line in "".join(parts).splitlines()) + more


def unhandled(number: int) -> str:
    """That it does not know a system call."""
    return f"--4711-- WARNING: unhandled amd64-linux syscall: {number}\n" \
           "--4711-- You may be able to write your own handler.\n"


class Findings(unittest.TestCase):
    """One table: report, and how its findings begin."""

    def test_findings(self) -> None:
        """All of them, in this order."""
        term, segv = TERMINATED.format("15 (SIGTERM)"), TERMINATED.format("11 (SIGSEGV)")
        lost, maybe = LOST.format("definitely"), LOST.format("possibly")
        table = (
            ("", []),
            (report(BEGIN), []),
            (report(BEGIN, HEAP, FREED, END), []),
            (report(BEGIN, HEAP, LEAKS, END), []),
            (report(BEGIN, HEAP, LEAKS, END, more=unhandled(317)), []),
            (report(BEGIN, more=unhandled(437)), ["--4711-- WARNING: unhandled amd64-linux syscall: 437"]),
            (report(BEGIN, more=unhandled(3170)), ["--4711-- WARNING: unhandled amd64-linux syscall: 3170"]),
            (report(BEGIN, INVALID, HEAP, FREED, END), ["Invalid read of size 1"]),
            (report(BEGIN, HEAP, lost, maybe, LEAKS, END), ["40 bytes in 1 blocks are definitely lost",
                                                            "40 bytes in 1 blocks are possibly lost"]),
            (report(BEGIN, HEAP, INDIRECTLY, LEAKS, END), ["1,064 (40 direct, 1,024 indirect) bytes in 1 blocks"]),
            (report(BEGIN, segv, HEAP, lost, LEAKS, END), ["Process terminating with default action of signal 11",
                                                           "40 bytes in 1 blocks are definitely lost"]),
            (report(BEGIN, term, HEAP, lost, INDIRECTLY, maybe, LEAKS, END), []),
            (report(BEGIN, INVALID, term, HEAP, lost, LEAKS, END), ["Invalid read of size 1"]),
            ("==4711== Something that valgrind never said before\n", ["Something that valgrind never said before"]),
        )
        for text, expected in table:
            with self.subTest(text=text):
                found = findings(text)
                self.assertEqual([line[:len(begin)] for line, begin in zip(found, expected)], expected)
                self.assertEqual(len(found), len(expected))

    def test_where(self) -> None:
        """A finding has the lines that say where it is."""
        (found,) = findings(report(BEGIN, INVALID, HEAP, FREED, END))
        self.assertEqual(found, INVALID.strip())


if __name__ == "__main__":
    unittest.main()
