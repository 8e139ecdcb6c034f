# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/lib/schedule.py, with parts that only print. Called by meson as `python3 test-schedule.py SOURCE`."""

import contextlib
import io
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(sys.argv.pop(1)).resolve() / "tools" / "lib"))

from schedule import Part, Session, Work  # noqa: E402


def run(script: str, *products: Part) -> tuple[int, str]:
    """The exit status of a session with one part, a script that prints TAP, and what was on the screen."""
    screen = io.StringIO()
    part = Part("part", lambda work: work.tap("sh", "-c", script), needs=tuple(product.name for product in products))
    with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(screen), \
            Session(Path(cache), "bookworm", 60) as session:
        status = session.run([*products, part], ["part"], 1)
    return status, screen.getvalue()


class Tap(unittest.TestCase):
    def test_passed(self) -> None:
        status, screen = run("echo '# talk'; echo ok first; echo ok second; echo 1..2")
        self.assertEqual(status, 0)
        self.assertIn("2 passed, 0 failed", screen)

    def test_failed(self) -> None:
        """The screen has what a case that failed said, and not what others did."""
        status, screen = run("echo fine; echo ok first; echo '> /a/new/file'; echo not ok second; echo later; echo ok third; "
                             "echo 1..3")
        self.assertEqual(status, 1)
        self.assertIn("second:\n> /a/new/file\n", screen)
        self.assertNotIn("fine", screen)
        self.assertNotIn("later", screen)
        self.assertIn("2 passed, 1 failed", screen)

    def test_ended_early(self) -> None:
        for script in ("echo ok first", "echo ok first; echo 1..2", "echo ok first; echo 1..1; exit 3"):
            status, screen = run(script)
            self.assertEqual(status, 1, script)
            self.assertIn("ended early", screen, script)


class Room(unittest.TestCase):
    """A part needs as much of --jobs as it is wide."""

    def order(self, jobs: int, *widths: int, together: int = 1) -> list[str]:
        """When parts of these widths begin and end, each called by its number; they wait until @together of them run."""
        events: list[str] = []
        barrier = threading.Barrier(together)

        def make(number: int, width: int) -> Part:
            def function(work: Work) -> None:
                events.append(f"begins {number}")
                work.check("test", True)
                work.call("sleep", "0.1")
                barrier.wait()
                events.append(f"ends {number}")
            return Part(f"part{number}", function, width=width)
        parts = [make(number, width) for number, width in enumerate(widths)]
        with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(io.StringIO()), \
                Session(Path(cache), "bookworm", 60) as session:
            self.assertEqual(session.run(parts, [part.name for part in parts], jobs), 0)
            self.assertEqual(session.selected, {part.name for part in parts})
        return events

    def test_side_by_side(self) -> None:
        events = self.order(4, 2, 2, together=2)
        self.assertEqual({event.split()[0] for event in events[:2]}, {"begins"})

    def test_in_turn(self) -> None:
        """There is room for the last one at once, but the one before it would wait for longer then."""
        events = self.order(3, 2, 2, 1)
        self.assertEqual(events[:2], ["begins 0", "ends 0"])

    def test_too_wide(self) -> None:
        self.assertEqual(self.order(2, 1, 3, 1), [f"{what} {number}" for number in range(3) for what in ("begins", "ends")])


class LeftOut(unittest.TestCase):
    def test_by_parts_only(self) -> None:
        """What a part leaves out is told. What parts need runs no test anyway."""
        status, screen = run("echo 'NOT RUN: one'; echo ok first; echo 1..1",
                             Part("product", lambda work: work.call("echo", "NOT RUN: two"), product=True))
        self.assertEqual(status, 0)
        self.assertIn("not run in part: one\n", screen)
        self.assertNotIn("two", screen.partition("passed")[2])


if __name__ == "__main__":
    unittest.main()
