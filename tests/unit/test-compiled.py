# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/run-tests keeps of what was compiled, with a project of two files. Called by meson as
`python3 test-compiled.py SOURCE`."""

import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "tools" / "lib"))

import run_tests  # noqa: E402
from schedule import Part, Session  # noqa: E402

FILES = {
    "meson.build": "project('x', 'c', default_options: 'warning_level=2')\n"
                   "executable('x', 'main.c', 'sub/other.c', include_directories: 'sub',\n"
                   "           c_args: ['-include', meson.current_source_dir() / 'first.h'])\n",
    "main.c": '#include <assert.h>\n#include "other.h"\nint main(void) { assert(other() == FIRST); return 0; }\n',
    "first.h": "#define FIRST 1\n",
    "sub/other.h": "int other(void);\n",
    "sub/other.c": '#include "other.h"\nint other(void) { return FIRST; }\n',
}


class Compiled(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top = Path(directory.name)

    def project(self, name: str) -> Path:
        """The project in a folder of that name."""
        path = self.top / name
        for file, text in FILES.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(text, encoding="utf-8")
        (path / "tools/lib").mkdir(parents=True)
        shutil.copy(SOURCE / "tools/lib/copy-source", path / "tools/lib")
        return path

    def build(self, project: Path) -> tuple[int, str]:
        """The exit status of a session that builds it, and what was on the screen."""
        screen = io.StringIO()
        parts = [Part("source", run_tests.make_source, product=True),
                 Part("gcc", run_tests.make_gcc, needs=("source",), product=True)]
        with unittest.mock.patch.object(run_tests, "TOOLS", project / "tools"), contextlib.redirect_stdout(screen), \
                Session(self.top / "cache", "bookworm", 600) as session:
            status = session.run(parts, ["gcc"], 1)
        return status, screen.getvalue()

    def counts(self) -> tuple[int, int]:
        """How much was compiled so far, and how much found."""
        directory, = (self.top / "cache/ccache").iterdir()
        done = subprocess.run(["ccache", "--print-stats"], env={"CCACHE_DIR": str(directory), "PATH": "/usr/bin:/bin"},
                              check=True, capture_output=True, text=True)
        counts = dict(line.split("\t") for line in done.stdout.splitlines())
        return int(counts["cache_miss"]), int(counts["direct_cache_hit"])

    def test_sessions(self) -> None:
        """The next session compiles what has changed, even if the source is in another folder. A warning fails every time."""
        first, second = self.project("first"), self.project("another/deeper/second")
        for project, compiled, found in ((first, 2, 0), (second, 2, 2)):
            status, screen = self.build(project)
            self.assertEqual((status, *self.counts()), (0, compiled, found), screen)

        changed = second / "sub/other.c"
        changed.write_text('#include "other.h"\nint other(void) { int unused; return FIRST; }\n', encoding="utf-8")
        for _ in range(2):
            status, screen = self.build(second)
            self.assertEqual(status, 1)
            self.assertIn("unused-variable", screen)

        compiled, _ = self.counts()
        changed.write_text(FILES["sub/other.c"], encoding="utf-8")
        (second / "first.h").write_text("#define FIRST 2\n", encoding="utf-8")
        self.assertEqual((self.build(second)[0], self.counts()[0]), (0, compiled + 2))


if __name__ == "__main__":
    unittest.main()
