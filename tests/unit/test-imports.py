# SPDX-License-Identifier: GPL-3.0-or-later
"""What Python files here import is there: the integration tests run too seldom to find that out.

Called by meson as `python3 test-imports.py SOURCE`.
"""

import ast
import functools
import sys
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
TESTS = SOURCE / "tests"
# Where `import` looks for each of these: the file's own directory first.
PLACES = {"tests/integration": [TESTS], "tests/simulation": [TESTS], "tools/lib": [TESTS / "integration"],
          "bench/benchlib": [TESTS], "tests/unit": [TESTS / "integration", SOURCE / "tools/lib"]}
FOREIGN = {"pytest"}


@functools.cache
def names_in(path: Path) -> set[str]:
    """What the top level of a module defines."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


@functools.cache
def find(module: str, places: tuple[Path, ...]) -> Path | None:
    """The file of a module."""
    for place in places:
        path = place.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def imports(path: Path) -> list[tuple[str, int, list[str]]]:
    """Modules that a file names, how many packages up it begins to look, and what it takes of them."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.level, [alias.name for alias in node.names]))
    return found


def wrong(path: Path, places: list[Path]) -> list[str]:
    """What cannot be imported in a file."""
    out = []
    for module, level, names in imports(path):
        if level == 0 and module.partition(".")[0] in sys.stdlib_module_names | FOREIGN:
            continue
        where = [path.parent] if level else [path.parent, *places]
        file = find(module, tuple(where)) if module else path.parent / "__init__.py"
        if not file:
            out.append(f"{path.relative_to(SOURCE)}: there is no module {module}")
            continue
        known = names_in(file) | {name for name in names if find(name, (file.parent,)) and file.name == "__init__.py"}
        out += [f"{path.relative_to(SOURCE)}: {module} has no {name}" for name in names if name not in known]
    return out


class Imports(unittest.TestCase):
    def test_all(self):
        files = [(path, places) for name, places in PLACES.items() for path in (SOURCE / name).glob("*.py")]
        self.assertGreater(len(files), 40)
        self.assertEqual([line for path, places in files for line in wrong(path, places)], [])


if __name__ == "__main__":
    unittest.main()
