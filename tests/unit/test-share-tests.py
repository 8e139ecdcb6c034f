# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/lib/share-tests, with a program in the place of pytest. Called by meson as `python3 test-share-tests.py SOURCE`."""

import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

PROGRAM = Path(sys.argv.pop(1)).resolve() / "tools" / "lib" / "share-tests"
# Runs those of a, b, c that nobody has begun; says so in two writes; the second process fails, or leaves no results.
PYTEST = """\
import os, sys
options = dict(argument.split("=", 1) for argument in sys.argv[2:])
def ours(name):
    try:
        open(options["--share"] + "/" + name, "x").close()
        return True
    except FileExistsError:
        return False
number = next(number for number in range(3) if ours(f"process-{number}"))
cases = ""
for name in filter(ours, "abc"):
    os.write(1, name.encode())
    os.write(1, b" ran\\n")
    cases += f'<testcase name="{name}"/>'
if sys.argv[1] != "no results" or number == 0:
    open(options["--junit-xml"], "w").write(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
sys.exit(sys.argv[1] == "fail" and number == 1)
"""


class ShareTests(unittest.TestCase):
    def share(self, how: str) -> tuple[subprocess.CompletedProcess, list[str] | None]:
        """Ends with what three processes did, and which cases are in the results."""
        with tempfile.TemporaryDirectory() as directory:
            results = Path(directory, "results.xml")
            done = subprocess.run([PROGRAM, "3", results, sys.executable, "-c", PYTEST, how], capture_output=True,
                                  text=True, check=False)
            cases = [case.get("name") for case in xml.parse(results).getroot().iter("testcase")] if results.exists() \
                else None
            return done, cases

    def test_all(self):
        """Each is run once, and told of in whole lines."""
        done, cases = self.share("well")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(sorted(done.stdout.splitlines()), ["a ran", "b ran", "c ran"])
        self.assertEqual(sorted(cases), ["a", "b", "c"])

    def test_failed(self):
        """One process that fails is enough."""
        self.assertEqual(self.share("fail")[0].returncode, 1)
        self.assertEqual(self.share("no results")[1], None)


if __name__ == "__main__":
    unittest.main()
