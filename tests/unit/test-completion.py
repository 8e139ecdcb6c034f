# SPDX-License-Identifier: GPL-3.0-or-later
"""Completions: what the program offers, and what bash, zsh and fish make of it on a terminal.

Called by meson as `python3 test-completion.py PROGRAM SOURCE`. A shell that is not installed is a
failure: `tools/install-deps check` installs it.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(2))
PROGRAM = os.path.abspath(sys.argv.pop(1))
PATIENCE = float(os.environ.get("PATIENCE", "120"))  # seconds, until something is taken for hanging


class World(unittest.TestCase):
    """A directory of images, definitions and jobs."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)
        for tree in ("images/bookworm", "images/trixie", "images/.generations/bookworm/4",
                     "images/.oci/registry.example%a%b:1", "other/elsewhere"):
            for part in ("usr/bin", "etc"):
                (self.path / tree / part).mkdir(parents=True)
        (self.path / "defined").mkdir()
        (self.path / "defined/definition-one.yaml").write_text("- hosts: all\n")
        (self.path / "run/jobs/4711-abcd").mkdir(parents=True)
        self.config = self.path / "config.yaml"
        self.config.write_text(f"root_dir: {self.path}/images\nruntime_dir: {self.path}/run\n"
                               f"definitions_dir: {self.path}/defined\n")


class Candidates(World):
    def complete(self, *words):
        result = subprocess.run([PROGRAM, "complete", "--", *words], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return [line.partition("\t")[0] for line in result.stdout.splitlines()]

    def test_words(self):
        config = ("--config", str(self.config))
        for words, expected in (
            (("chroot-lo",), ["chroot-login"]),
            (("supervi",), []),
            (("chroot-login", "--pub"), ["--publish"]),
            (("-v", "gc", "--dry"), ["--dry-run"]),
            (("nonsense", ""), []),
            ((*config, "chroot-login", ""), ["bookworm", "trixie"]),
            ((*config, "chroot-login", "b"), ["bookworm", "bookworm@4"]),
            ((*config, "chroot-login", "trixie", ""), []),
            ((f"--config={self.config}", "chroot-diff", "bookworm", ""), ["4"]),
            ((*config, "chroot-run", "trixie", "--", ""), []),
            ((*config, "chroot-remove", "registry.example/"), ["registry.example/a/b:1"]),
            ((*config, "--root", f"{self.path}/other", "chroot-login", ""), ["elsewhere"]),
            ((*config, "chroot-login", "--root", f"{self.path}/other", ""), ["elsewhere"]),
            ((*config, "prepare", "--default-image", "tri"), ["trixie"]),
            ((*config, "chroot-create", ""), ["definition-one"]),
            ((*config, "chroot-maintenance", "definition-one", "def"), ["definition-one"]),
            ((*config, "check", ""), [":files", "definition-one"]),
            ((*config, "logs", ""), ["4711-abcd", "bookworm", "trixie"]),
            ((*config, "logs", "-f", ""), ["4711-abcd", "bookworm", "trixie"]),
            (("chroot-create", "--suite", "trix"), ["trixie"]),
            (("chroot-create", "--suite=trix"), ["--suite=trixie"]),
            (("exec", "--source", "pus"), ["push"]),
            (("exec", "-C", ""), [":directories"]),
            (("cache", ""), ["list", "remove"]),
            (("--config", ""), [":files"]),
            (("--root", ""), [":directories"]),
            (("--config", "/nonexistent", "chroot-lo"), ["chroot-login"]),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.complete(*words), expected)

    def test_everything_is_offered(self):
        """All commands of the help, and all options of each."""
        def terms(*arguments):
            text = subprocess.run([PROGRAM, *arguments, "--help"], capture_output=True, text=True).stdout
            return re.findall(r"^  (?:-\w, )?([a-z-][\w-]*)", text, re.MULTILINE)

        everything = terms()
        commands = [name for name in self.complete("") if name in everything]
        self.assertEqual(commands, self.complete(""))
        self.assertEqual(set(commands), {term for term in everything if not term.startswith("-")
                                         and re.match(rf"Usage: nspawn-runner {term}\b", subprocess.run(
                                             [PROGRAM, term, "--help"], capture_output=True, text=True).stdout)})
        for command in commands:
            options = {term for term in terms(command) if term.startswith("--")}
            self.assertEqual(set(self.complete(command, "-")), options, command)

    def test_descriptions(self):
        text = subprocess.run([PROGRAM, "complete", "--", "chroot-lis"], capture_output=True, text=True)
        self.assertEqual(text.stdout, "chroot-list\tList the images and their generations\n")


class Shell:
    """An interactive shell on a terminal."""

    def __init__(self, argv, environment, setup):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 400, 0, 0))
        for line in setup:
            self.type(line + "\n")
        self.type("echo REA''DY\n")
        self.expect(rb"READY\r")

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 1)[0]:
                data = os.read(self.fd, 4096)
                self.seen += data
                # What a terminal answers to "which are you?", for shells that ask.
                if b"\x1b[c" in data or b"\x1b[0c" in data:
                    os.write(self.fd, b"\x1b[?62c")
        self.seen = self.seen[found.end():]
        return found

    def completed(self, text):
        """The command line that @text and a tab make."""
        self.type(text + "\t")
        self.type("\x01echo '<''<' \x05 '>''>'\n")
        return self.expect(rb"<< ([^\r\n]*) >>\r")[1].decode().rstrip(" /")

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class Shells(World):
    def start(self, shell):
        programs = self.path / "programs"
        programs.mkdir()
        (programs / "nspawn-runner").symlink_to(PROGRAM)
        (programs / "sudo").symlink_to("/bin/true") # fish only completes what exists
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(self.path), "TERM": "xterm",
                       "LC_ALL": "C.UTF-8", "ZDOTDIR": str(self.path), "XDG_CONFIG_HOME": str(self.path / "xdg"),
                       "XDG_DATA_HOME": str(self.path / "xdg"), "HISTFILE": ""}
        files = SOURCE / "shell-completion"
        started = Shell(*{
            "bash": (["bash", "--norc", "-i"], environment, [
                ". /usr/share/bash-completion/bash_completion", f". {files}/bash/nspawn-runner",
                "bind 'set enable-bracketed-paste off'"]),
            "bash alone": (["bash", "--norc", "-i"], environment, [
                f". {files}/bash/nspawn-runner", "bind 'set enable-bracketed-paste off'"]),
            "zsh": (["zsh", "-f", "-i"], environment, [
                "unset zle_bracketed_paste", f"fpath=({files}/zsh $fpath)", "autoload -U compinit", "compinit -u -D", "bindkey -e"]),
            "fish": (["fish", "-i"], environment, [f"source {files}/fish/nspawn-runner.fish"]),
        }[shell])
        self.addCleanup(started.end)
        return started

    def check(self, shell):
        if not shutil.which(shell.split()[0]):
            self.fail(f"{shell} is not installed: 'tools/install-deps check' installs it")
        terminal = self.start(shell)
        config = f"nspawn-runner --config {self.config}"
        for typed, rest in (
            ("nspawn-runner chroot-lo", "gin"),
            ("nspawn-runner chroot-login --pub", "lish"),
            (f"{config} chroot-login tri", "xie"),
            (f"{config} chroot-login bookworm@", "4"),
            (f"{config} --root={self.path}/other chroot-login els", "ewhere"),
            (f"{config} chroot-maintenance def", "inition-one"),
            (f"{config} chroot-remove registry.example/a/b:", "1"),
            (f"{config} logs 47", "11-abcd"),
            ("nspawn-runner chroot-create --suite=trix", "ie"),
            (f"nspawn-runner --config {self.path}/conf", "ig.yaml"),
            (f"nspawn-runner --config={self.path}/conf", "ig.yaml"),
            (f"nspawn-runner --root {self.path}/oth", "er"),
            *([(f"sudo {config} chroot-login tri", "xie")] if self.has_sudo(shell) else []),
        ):
            with self.subTest(typed=typed):
                self.assertEqual(terminal.completed(typed), typed + rest)

    @staticmethod
    def has_sudo(shell):
        """bash needs a package of completions to look behind sudo."""
        return shell != "bash alone"

    def test_bash(self):
        self.check("bash")

    def test_bash_alone(self):
        self.check("bash alone")

    def test_zsh(self):
        self.check("zsh")

    def test_fish(self):
        self.check("fish")


if __name__ == "__main__":
    unittest.main()
