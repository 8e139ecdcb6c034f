# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools/run-tests --changed selects. Called by meson as `python3 test-changes.py SOURCE`."""

import sys
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "tools" / "lib"))

import changes  # noqa: E402


class Changes(unittest.TestCase):
    def test_table(self):
        """It names what there is."""
        for prefix, (_, files) in changes.ROWS.items():
            self.assertTrue((SOURCE / prefix).exists(), prefix)
            for name in (files or "").split():
                self.assertTrue((SOURCE / f"tests/integration/test_{name}.py").exists(), (prefix, name))

    def test_select(self):
        for paths, parts, files in (
                (["docs/architecture.md"], {"unit"}, set()),
                (["tests/integration/test_job.py"], {"unit", "integration", "nested-12", "nested-13"}, {"test_job.py"}),
                (["tests/integration/lab.py", "docs/x.md"], {"unit", "integration", "nested-12", "nested-13"}, None),
                (["src/base/fd.c", "docs/x.md"], None, None),
                (["meson.build"], None, None),
                (["tools/vm"], {"shellcheck", "vm"}, set()),
                (["tools/quickstart"], {"shellcheck", "quickstart", "quickstart-here"}, set())):
            selection = changes.select(paths)
            self.assertEqual((selection.parts, selection.files), (parts, files), paths)
        selection = changes.select(["src/gitlab/x.c", "src/storage/x.c"])
        self.assertLessEqual({"test_upstream_table.py", "test_storage.py"}, selection.files)
        self.assertLessEqual({"format", "unit", "fuzz", "integration"}, selection.parts)


if __name__ == "__main__":
    unittest.main()
