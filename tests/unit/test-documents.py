# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents say what the program does: man pages name each command, option and setting of its tables and no others,
examples of configuration are valid, commands in examples exist, and links lead somewhere.

Called by meson as `python3 test-documents.py PROGRAM SOURCE`. The tables are read from the program's own help.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(2))
PROGRAM = os.path.abspath(sys.argv.pop(1))
MAN = SOURCE / "man"
MARKDOWN = sorted([*SOURCE.glob("*.md"), *SOURCE.glob("docs/*.md")])


def call(*arguments: str) -> subprocess.CompletedProcess:
    """The program, without what GitLab Runner may have put into the environment of a CI job that runs this test."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("CUSTOM_ENV_") and key != "JOB_RESPONSE_FILE"}
    return subprocess.run([PROGRAM, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


def help_rows(heading: str, *arguments: str) -> list[str]:
    """The terms, such as "--config FILE" or "run SCRIPT [STAGE]", below the lines of help that begin with @heading."""
    result = call(*arguments, "--help")
    assert result.returncode == 0, result.stderr
    rows: list[str] = []
    inside = False
    for line in result.stdout.splitlines():
        if not line.startswith(" "):
            inside = line.startswith(heading) if line else inside
        elif inside and line.startswith("  ") and not line.startswith("   "):
            rows.append(re.split(r"  +", line.strip())[0])
    return rows


def plain(text: str) -> str:
    """A line of scdoc without what makes it bold, underlined or literal."""
    return re.sub(r"\\(.)|\*|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", lambda match: match.group(1) or "", text)


def page_text(name: str) -> str:
    """Source of a man page, without comments."""
    text = (MAN / name).read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("; "))


def section(text: str, name: str) -> str:
    """The part of a man page below a heading."""
    found = re.search(rf"^# {re.escape(name)}\n(.*?)(?=^# |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {name}"
    return found.group(1)


def option_terms(text: str) -> list[str]:
    """Lines that describe an option: bold words that begin with a dash."""
    return [plain(line) for line in text.splitlines() if re.match(r"\*-", line)]


def metric_names() -> set[str]:
    """What the metrics are called, from the calls and the table that write their headings."""
    text = "".join((SOURCE / path).read_text(encoding="utf-8") for path in ("src/machine/metrics-text.c", "src/cli/metrics-now.c"))
    counters = set(re.findall(r'"(nspawn_runner_[a-z_]+[a-z])",\s*"counter"', text))
    return set(re.findall(r'"(nspawn_runner_[a-z_]+[a-z])"', text)) - counters | {f"{name}_total" for name in counters}


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of the blocks between lines of three backquotes."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class ManPages(unittest.TestCase):
    """Man pages against the tables."""

    def setUp(self):
        self.commands = help_rows("Commands")
        self.assertGreater(len(self.commands), 5)

    def test_commands(self):
        text = section(page_text("nspawn-runner.1.scd"), "COMMANDS")
        self.assertEqual(re.findall(r"^## (.*)$", text, re.MULTILINE), self.commands)

    def test_global_options(self):
        options = help_rows("Options")
        self.assertIn("--config FILE", options)
        self.assertEqual(option_terms(section(page_text("nspawn-runner.1.scd"), "OPTIONS")), options)

    def test_options_of_commands(self):
        text = section(page_text("nspawn-runner.1.scd"), "COMMANDS")
        parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
        self.assertEqual(option_terms(parts[0]), [])
        seen = 0
        for heading, body in zip(parts[1::2], parts[2::2]):
            command = heading.split()[0]
            options = [row for row in help_rows("Options:", command)]
            seen += len(options)
            own_page = f"nspawn-runner-{command}.1.scd"
            with self.subTest(command=command):
                if (MAN / own_page).exists():
                    self.assertEqual(option_terms(body), [])
                    self.assertIn(f"*nspawn-runner-{command}*(1)", body)
                    body = section(page_text(own_page), "OPTIONS")
                self.assertEqual(option_terms(body), options)
        self.assertGreater(seen, 5)

    def test_settings(self):
        settings = help_rows("Settings")
        self.assertIn("storage: auto", settings)
        text = page_text("nspawn-runner.yaml.5.scd")
        documented = re.findall(r"^\*\w+\*: .*$", text, re.MULTILINE)
        self.assertEqual([plain(line) for line in documented], settings)
        self.assertEqual(documented, re.findall(r"^\*\w+\*: .*$", section(text, "SETTINGS"), re.MULTILINE))

    def test_variables(self):
        """Those of images one by one, with their defaults; those of machines are only named."""
        rows = help_rows("Variables", "chroot-create")
        own = [row for row in rows if not row.endswith(": as configured")]
        machine = [row.split(":")[0] for row in rows if row.endswith(": as configured")]
        self.assertIn("nspawn_runner_keep_generations: 2", own)
        self.assertIn("nspawn_runner_storage", machine)
        text = page_text("nspawn-runner-image.5.scd")
        self.assertEqual([plain(line) for line in re.findall(r"^\*\w+\*: .*$", text, re.MULTILINE)], own)
        self.assertEqual(re.findall(r"\*(nspawn_runner_\w+)\*", section(text, "CONTAINER SETTINGS")), machine)

    def test_pages_name_nothing_else(self):
        """Also in passing, no page speaks of an option or a setting that there is not."""
        options = set(re.findall(r"--[\w-]+", " ".join(
            [*help_rows("Options"), *(row for command in self.commands
                                      for row in help_rows("Options:", command.split()[0]))])))
        settings = {row.split(":")[0]
                    for row in [*help_rows("Settings"), *help_rows("Variables", "chroot-create")]}
        for name in sorted(path.name for path in MAN.glob("*.scd")):
            text = page_text(name)
            with self.subTest(page=name):
                self.assertLessEqual(set(re.findall(r"\*(--\w[\w-]*)", text)), options)
                self.assertLessEqual(set(re.findall(r"\*([a-z]+(?:_[a-z]+)+)\*", text))
                                     - {"http_proxy", "https_proxy", "no_proxy"}, settings | metric_names())

    def test_metrics(self):
        """The page lists each metric."""
        self.assertEqual(set(re.findall(r"\*(nspawn_runner_\w+)\*", page_text("nspawn-runner.1.scd"))) & metric_names(),
                         metric_names())


class Version(unittest.TestCase):
    """The version that is built, everywhere."""

    def test_version(self):
        """Of the program, the news, Debian's package and the man pages."""
        version = re.findall(r"^  version: '([^']+)'", (SOURCE / "meson.build").read_text(encoding="utf-8"), re.MULTILINE)[0]
        self.assertEqual(call("--version").stdout, f"nspawn-runner {version}\n")
        news = re.findall(r"^## (.*)$", (SOURCE / "NEWS.md").read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(news[0], version)
        entry, who = re.findall(r"\Anspawn-runner \(([^)]+)\)|^ -- (.* <.*>)  ", (SOURCE / "debian/changelog").read_text(encoding="utf-8"),
                                re.MULTILINE)[:2]
        self.assertEqual(entry[0], version)
        self.assertIn(f"\nMaintainer: {who[1]}\n", (SOURCE / "debian/control").read_text(encoding="utf-8"))
        for source in MAN.glob("*.scd"):
            page = Path(PROGRAM).parent / "man" / source.stem
            if page.exists():  # without scdoc there are none
                self.assertRegex(page.read_text(encoding="utf-8"), rf'(?m)^\.TH .* "nspawn-runner {re.escape(version)}"')


class Examples(unittest.TestCase):
    """What readers may copy."""

    def test_configuration(self):
        """The program reads each example of a configuration file."""
        blocks = [("man", block) for _, block in fenced_blocks(page_text("nspawn-runner.yaml.5.scd"))]
        for path in MARKDOWN:
            blocks += [(path.name, block) for language, block in fenced_blocks(path.read_text(encoding="utf-8"))
                       if language == "yaml" and block.startswith("# /etc/nspawn-runner.yaml\n")]
        self.assertGreaterEqual({name for name, _ in blocks}, {"man", "README.md"})
        for name, block in blocks:
            with self.subTest(file=name, block=block), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(block)
                file.flush()
                result = call("--config", file.name, "gitlab-config")
                self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_all_settings(self):
        """The example that is installed has every setting with its default, and the program reads it."""
        lines = (Path(PROGRAM).parent / "examples/nspawn-runner.yaml").read_text(encoding="utf-8").splitlines()
        settings = [line[1:] for line in lines if re.match(r"#\w+: ", line)]
        self.assertEqual(settings, help_rows("Settings"))
        self.assertEqual([line for line in lines if line and not line.startswith("#")], [])
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("\n".join(settings))
            file.flush()
            result = call("--config", file.name, "gitlab-config")
            self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_commands(self):
        """Commands and options in blocks of a shell are known to the program."""
        lines = []
        for path in [*MAN.glob("*.1.scd"), *MARKDOWN]:
            for language, block in fenced_blocks(path.read_text(encoding="utf-8")):
                if language in ("", "sh"):
                    lines += [(path.name, line) for line in block.splitlines()]
        seen = 0
        for name, line in lines:
            found = re.match(r"\s*(?:sudo )?nspawn-runner ([^|>#]*)", line)
            if not found:
                continue
            seen += 1
            with self.subTest(file=name, line=line):
                words = shlex.split(found.group(1))
                options = words[:words.index("--")] if "--" in words else words
                result = call(*options, "--help")
                self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertGreater(seen, 10)

    def test_programs(self):
        """Programs of the source directory that the documents name are there."""
        for path in MARKDOWN:
            for name in set(re.findall(r"\b(?:tools|bench|\.ci)/[a-z-]+(?:/[a-z_-]+)*\b", path.read_text(encoding="utf-8"))):
                with self.subTest(file=path.name, name=name):
                    self.assertTrue((SOURCE / name).exists())

    def test_links(self):
        """Links to other files of the source lead somewhere."""
        seen = 0
        for path in MARKDOWN:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
                seen += 1
                with self.subTest(file=path.name, target=target):
                    self.assertTrue((path.parent / target).exists())
        self.assertGreater(seen, 3)


if __name__ == "__main__":
    unittest.main()
