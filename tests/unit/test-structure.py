# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the house: which folder of src/ includes which, as the table in docs/architecture.md allows it, without a
circle. How a file in it begins, and what is written once.

Called by meson as `python3 test-structure.py SOURCE`.
"""

import re
import sys
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1))
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", re.MULTILINE)
# A paragraph between the licence and the first include.
OPENING = re.compile(r"\A/\* SPDX-License-Identifier: [^\n]+ \*/\n\n/\* ((?:(?!\*/).)+) \*/\n\n#include ", re.DOTALL)
OPENING_MIN = 60
INCLUDE = re.compile(r'^#include "(\w+)/([\w-]+\.h)"', re.MULTILINE)
LINES_MAX = 500
# Code is for clang-format; a comment may be a little wider.
COMMENT_COLUMNS_MAX = 128
# "a.c and b.c call this", at the beginning of a sentence "Only ...".
CALLERS = re.compile(r"(Only )?((?:[\w/-]+\.c(?:, | and )?)+) (?:may )?calls? this")

# What only one file may spell out, as it stands in C: others use the name that it has there.
ONE_PLACE = {
    '"/run/nspawn-runner-agent"': "wire/wire.h",
    "/usr/local/sbin:/usr/local/bin:": "base/process.h",
    "readdir(": "base/fs.c",  # its errors look like the end
    "SYS_openat2": "base/fs.c",  # it may have to be tried again
    "F_DUPFD_CLOEXEC, 3)": "base/fd.c",  # -1 is taken for -EPERM
    "O_TMPFILE": "base/new-file.c",  # not every file system can
    '"127.0.1.1': "base/hosts.h",
    "localhost ip6-localhost": "base/hosts.h",
    '".json"': "image/generation-json.h",
    '"docker://': "source/skopeo.h",
    '"nspawn-runner-agent"': "machine/part.h",
    '"nspawn-runner-userns.so"': "preload/userns-owner.h",
    "198.51.100.1": "network/hub.h",
    "2001:db8::1": "network/hub.h",
    "ipv4/ip_forward": "network/netns.h",
    "mkfs.ext4 (package e2fsprogs)": "storage/disk.h",
    '".layers"': "machine/directory.h",
    '"CUSTOM_ENV_': "base/custom-executor.h",
    '"JOB_RESPONSE_FILE': "base/custom-executor.h",
    '"BUILD_EXIT_CODE_FILE': "base/custom-executor.h",
    '"/builds"': "base/custom-executor.h",
    '"/cache"': "base/custom-executor.h",
    'streq(strategy, "empty")': "local/sources.c",
    '".staging"': "image/image.h",
    '".caches"': "store/place.h",
    '".builds"': "store/place.h",
    '"agent.sock"': "container/channel.h",
    '"/run/systemd/nspawn-uid"': "container/uid-range.h",
    '"var/lib/dpkg/status"': "tree/packages.h",
    '"run-"': "container/bind.h",
}


def files(room: Path) -> list[Path]:
    """The C files in a folder."""
    return sorted(room.glob("*.[ch]"))


def table() -> dict[str, set[str]]:
    """What each room may include, from the document."""
    text = (SOURCE / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms: dict[str, set[str]] = {}
    for name, allowed in ROW.findall(text):
        if "all above" in allowed:
            rooms[name] = set(rooms) - set(re.split(r"\W+", allowed.partition("but")[2]))
        else:
            rooms[name] = set(re.findall(r"\w+", allowed))
    return rooms


def includes(path: Path) -> list[tuple[str, str]]:
    """Rooms and headers that a file includes."""
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def circle(edges: dict[str, set[str]]) -> list[str]:
    """A way from a node back to itself, or nothing."""
    done: set[str] = set()

    def visit(node: str, way: list[str]) -> list[str]:
        if node in way:
            return way[way.index(node):] + [node]
        if node not in done:
            for other in sorted(edges.get(node, ())):
                found = visit(other, way + [node])
                if found:
                    return found
            done.add(node)
        return []

    for start in sorted(edges):
        found = visit(start, [])
        if found:
            return found
    return []


class TestStructure(unittest.TestCase):
    """The table and the code agree."""

    def test_each_room_has_a_row(self) -> None:
        """No folder without, and no row without a folder."""
        folders = {path.name for path in (SOURCE / "src").iterdir() if path.is_dir()}
        self.assertEqual(folders, set(table()))

    def test_includes_are_in_the_table(self) -> None:
        """A file includes its own room and what the row of its room names."""
        rooms = table()
        wrong = [f"{path.relative_to(SOURCE)} includes {room}/{header}"
                 for name, allowed in rooms.items()
                 for path in files(SOURCE / "src" / name)
                 for room, header in includes(path)
                 if room != name and room not in allowed]
        self.assertEqual(wrong, [])

    def test_rows_say_no_more_than_is_used(self) -> None:
        """A room that is allowed to include another by name does so."""
        text = (SOURCE / "docs" / "architecture.md").read_text(encoding="utf-8")
        for name, allowed in ROW.findall(text):
            if "all above" not in allowed:
                used = {room for path in files(SOURCE / "src" / name) for room, _ in includes(path)} - {name}
                self.assertEqual(set(re.findall(r"\w+", allowed)), used, name)

    def test_one_way_to_start(self) -> None:
        """One place mounts a root by a storage driver, and one starts systemd-nspawn: nothing has a container of its own."""
        for call, place in ((r"->mount\(&", "machine/root.c"), (r"\bnspawn_arguments\((?!const)", "machine/launch.c")):
            found = [str(path.relative_to(SOURCE / "src")) for name in table() for path in files(SOURCE / "src" / name)
                     if re.search(call, path.read_text(encoding="utf-8"))]
            self.assertEqual(found, [place], call)

    def test_one_way_to_lock(self) -> None:
        """A lock may be on what others have removed meanwhile, and a signal may come: base/lock.c sees to both."""
        found = [path.name for name in table() for path in files(SOURCE / "src" / name)
                 if re.search(r"\bflock\([a-z]", path.read_text(encoding="utf-8"))]
        self.assertEqual(found, ["lock.c"])

    def test_no_circle_of_rooms(self) -> None:
        """What includes what is a tree of rooms, not a ring."""
        edges = {name: {room for path in files(SOURCE / "src" / name) for room, _ in includes(path)} - {name}
                 for name in table()}
        self.assertEqual(circle(edges), [])

    def test_no_circle_of_modules(self) -> None:
        """Nor do files need each other: a module is NAME.c with NAME.h. A header without a file of its own, for several
        modules that implement it, is a module by itself."""
        edges: dict[str, set[str]] = {}
        for name in table():
            for path in files(SOURCE / "src" / name):
                module = f"{name}/{path.stem}"
                edges.setdefault(module, set()).update(
                    f"{room}/{header[:-2]}" for room, header in includes(path) if f"{room}/{header[:-2]}" != module)
        self.assertEqual(circle(edges), [])

    def test_one_fact_in_one_place(self) -> None:
        """What host and agent, or several rooms, must agree on is written once."""
        texts = {str(path.relative_to(SOURCE / "src")): path.read_text(encoding="utf-8")
                 for path in (SOURCE / "src").rglob("*.[ch]")}
        for fact, place in ONE_PLACE.items():
            self.assertEqual([name for name, text in texts.items() if fact in text], [place], fact)

    def test_each_file_says_what_it_is_for(self) -> None:
        """Who opens a file reads first what it is for, who calls it, and what it must never do."""
        sources = sorted((SOURCE / "src").rglob("*.c"))
        self.assertTrue(sources)
        silent = []
        for path in sources:
            opening = OPENING.match(path.read_text(encoding="utf-8"))
            if opening is None or len(opening.group(1)) < OPENING_MIN:
                silent.append(str(path.relative_to(SOURCE)))
        self.assertEqual(silent, [], f"no paragraph of {OPENING_MIN} characters below the licence, before the includes")

    def test_callers_are_true(self) -> None:
        """A file that the opening of another names as its caller includes that one's header, by its own header perhaps; and
        where the opening says that only some files call it, no other does."""
        included = {path: set(includes(path)) for path in (SOURCE / "src").rglob("*.[ch]")}
        found = 0
        for path in (path for path in included if path.suffix == ".c" and path.with_suffix(".h") in included):
            header = (path.parent.name, f"{path.stem}.h")
            direct = {other for other in included if other.suffix == ".c" and other != path and header in included[other]}
            users = direct | {other for other in included if other.suffix == ".c" and other != path and
                              header in included.get(other.with_suffix(".h"), ())}
            opening = OPENING.match(path.read_text(encoding="utf-8"))
            assert opening is not None, path
            for only, names in CALLERS.findall(re.sub(r"\s*\n \* ?", " ", opening.group(1))):
                callers = {other for name in re.findall(r"[\w/-]+\.c", names) for other in included
                           if f"/{other}".endswith(f"/{name}")}
                self.assertTrue(callers & users, path)
                if only:
                    self.assertLessEqual(direct, callers, path)
                found += 1
        self.assertGreater(found, 10)

    def test_comments_fit(self) -> None:
        """No line of the source is wider than a usual window."""
        wide = [f"{path.relative_to(SOURCE)}:{n}" for path in sorted((SOURCE / "src").rglob("*.[ch]"))
                for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > COMMENT_COLUMNS_MAX]
        self.assertEqual(wide, [])

    def test_returns_early(self) -> None:
        """No code goes on under `if (r >= 0)`, nor does a loop: what happens after a failure stands where it happens."""
        for path in sorted((SOURCE / "src").rglob("*.c")):
            text = path.read_text(encoding="utf-8")
            self.assertNotRegex(text, r"if \([qr] >= 0\)", path)
            self.assertNotRegex(text, r"for \([^;]*;[^;]*\b[qr] (>=|==) 0\b|    while \(.*\b[qr] (>=|==) 0\b", path)

    def test_files_are_short(self) -> None:
        """At most so many lines that one can keep them in mind."""
        long = {str(path.relative_to(SOURCE)): n for path in sorted((SOURCE / "src").rglob("*.[ch]"))
                if (n := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX}
        self.assertEqual(long, {})


if __name__ == "__main__":
    unittest.main()
