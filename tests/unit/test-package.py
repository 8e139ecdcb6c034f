# SPDX-License-Identifier: GPL-3.0-or-later
"""debian/ and what else names Debian packages or versions agree: tools/install-deps, the list of libraries.

Called by meson as `python3 test-package.py SOURCE`.
"""

import re
import subprocess
import sys
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1))
# build-essential has these, or meson needs them itself.
IMPLIED = {"gcc", "libc6-dev", "ninja-build"}
# Essential, or installed in any case.
EVERYWHERE = {"tar", "systemd"}
LIBRARY = re.compile(r'^ +X\((\w+), "([^"]+)", "([^"]+)", (\w+),', re.MULTILINE)


def fields() -> dict[str, str]:
    """Those of debian/control, whose names differ but for a few that do not matter here."""
    text = (SOURCE / "debian/control").read_text(encoding="utf-8")
    return {name: body for name, body in re.findall(r"^([\w-]+):((?:.*\n)(?: .*\n)*)", text, re.MULTILINE)}


def packages(field: str) -> set[str]:
    """The first alternative of each relation in a field, without versions and substitution variables."""
    items = (item.strip() for item in fields()[field].split(","))
    return {re.split(r"[ (|]", item)[0] for item in items if item and not item.startswith("${")}


def group(name: str) -> set[str]:
    """A group of tools/install-deps, with the names of Debian 12."""
    done = subprocess.run([SOURCE / "tools/install-deps", "--list", name], check=True, capture_output=True, text=True)
    return {line.split("|")[0] for line in done.stdout.split()}


def libraries() -> list[tuple[str, str, str, str]]:
    """Rows of the list: id, soname, package, who needs it."""
    found = LIBRARY.findall((SOURCE / "src/base/library.h").read_text(encoding="utf-8"))
    assert len(found) > 5
    return found


class Package(unittest.TestCase):
    """Each fact that is written twice."""

    def test_what_builds_it(self):
        """Is the same for packages and for meson."""
        self.assertEqual(packages("Build-Depends") - {"debhelper-compat"}, group("build") - IMPLIED)

    def test_what_it_needs(self):
        """Is what tools/install-deps installs for jobs and images, and no more."""
        self.assertEqual((packages("Depends") | packages("Recommends") | {row[2] for row in libraries()}) - EVERYWHERE,
                         group("run"))

    def test_what_doctor_names(self):
        """Somebody who installs the package with what it recommends or suggests lacks nothing that doctor tells to install."""
        text = (SOURCE / "src/doctor/programs.c").read_text(encoding="utf-8")
        named = {word for remedy in re.findall(r'"install (?!all of|it from)([^",]+)', text)
                 for word in remedy.split(" and ")}
        self.assertIn("systemd-container", named)
        self.assertEqual(named - EVERYWHERE - packages("Depends") - packages("Recommends") - packages("Suggests"), set())

    def test_libraries(self):
        """debian/library-depends reads all rows of the list, and finds the package of each."""
        done = subprocess.run(["sh", "debian/library-depends"], cwd=SOURCE, check=True, capture_output=True, text=True)
        got = dict(line.split("=", 1) for line in done.stdout.splitlines())
        for name, kinds in (("library:Depends", {"SECCOMP", "SYSTEMD", "PRIVATE_NETWORK"}),
                            ("library:Recommends", {"BTRFS", "COMMANDS"})):
            self.assertEqual([package.removesuffix("t64") for package in got.pop(name).split(", ")],
                             [row[2] for row in libraries() if row[3] in kinds])
        self.assertEqual(got, {})

    def test_no_other_libraries(self):
        """Only those in the list are loaded."""
        loads = {name for path in (SOURCE / "src").rglob("*.c")
                 for name in re.findall(r"library_load\((\w+)", path.read_text(encoding="utf-8"))}
        self.assertEqual(loads - {"Library", "library"}, {f"LIBRARY_{row[0]}" for row in libraries()})


if __name__ == "__main__":
    unittest.main()
