# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance of images: definitions that cost little, calls of chroot-maintenance, and what its summary says."""

import json
import random
import re
import subprocess
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import host
from lab import KEPT, Done, Site
from pace import PATIENCE
from simulation.build import Build
from simulation.jobspec import Job

# What hangs in these tests; others run them on the same host, or in nested ones, whose processes are to be seen here.
NAP = f"sleep {random.randrange(10**6, 10**9)}"

# On which image roots are tested that can copy in different ways, with the storage that jobs have there.
FILE_SYSTEMS = {"ext4": "overlay", "btrfs": "btrfs", "xfs": "overlay"}
RESULTS = "created|updated|unchanged|failed|interrupted|not begun"


@dataclass
class Row:
    """One line of the summary."""

    result: str
    seconds: float
    size: str
    reason: str


@dataclass
class Report:
    """A maintenance that has ended."""

    done: Done
    rows: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        header, *lines = self.done.stdout.splitlines() or [""]
        assert not lines or header.split() == ["image", "result", "seconds", "size", "reason"][:len(header.split())], self.done
        for line in lines:
            found = re.fullmatch(rf"(\S+) +({RESULTS}) +(\d+\.\d) +(\S+)(?: +(\S.*?))? *", line)
            assert found, self.done
            self.rows[found[1]] = Row(found[2], float(found[3]), found[4], found[5] or "")

    @property
    def status(self) -> int:
        """The exit status."""
        return self.done.returncode

    @property
    def results(self) -> dict[str, str]:
        """What became of each image."""
        return {name: row.result for name, row in self.rows.items()}

    def says(self, name: str) -> str:
        """What was printed about one image, without its name."""
        lines = self.done.stderr.splitlines()
        return "\n".join(line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: "))

    def __str__(self) -> str:
        return str(self.done)


def maintain(site: Site, *arguments: str, env: dict[str, str] | None = None) -> Report:
    """Plays a whole maintenance."""
    return Report(site.call("chroot-maintenance", *arguments, env=env))


@contextmanager
def maintaining(site: Site, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One that goes on meanwhile, in a process group of its own; killed if it is still there at the end."""
    with subprocess.Popen(site.argv("chroot-maintenance", *arguments), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            yield process
        finally:
            process.kill()


def report_of(process: subprocess.Popen[str]) -> Report:
    """Waits for its end."""
    out, errors = process.communicate(timeout=PATIENCE)
    return Report(Done(process.args, process.returncode, out, errors))


def define(site: Site, name: str, *variables: str, tasks: str = "", command: str = "") -> Path:
    """Writes a definition: variables with the prefix left out, a command that makes the tree, tasks for ansible. It is put
    in place whole, as a maintenance may be reading it."""
    text = "- hosts: all\n  gather_facts: no\n  vars:\n"
    text += "".join(f"    nspawn_runner_{line}\n" for line in variables)
    if command:
        text += "    nspawn_runner_create_command: |\n" + textwrap.indent(textwrap.dedent(command), " " * 6) + "\n"
    if tasks:
        text += "  tasks:\n" + textwrap.indent(textwrap.dedent(tasks), " " * 4)
    new, path = site.directory / "new-definition", site.definitions / f"{name}.yaml"
    new.write_text(text)
    return new.replace(path)


def copy_of(tree: Path, more: str = "") -> str:
    """A command that makes a tree of another one; @more is done then."""
    return f'cp -a --reflink=auto "{tree}/." "$ROOT"\n{more}\n'


def put_tiny(site: Site) -> str:
    """Puts a tiny image there by hand, and returns the variable of images that are made from it: of these, ansible need not
    check the playbook before."""
    subprocess.run(["cp", "-a", site.lab.tiny_image(), site.root / "tiny"], check=True)
    return "from: tiny"


@contextmanager
def running(site: Site, image: str) -> Iterator[Build]:
    """Site.started() for a job that is not alone: what it leaves is looked for at the end of the test."""
    build = Build(site.runner(), Job(image=image))
    build.begin()
    try:
        yield build
    finally:
        call = build.cleanup()
    assert call and call.returncode == 0, call


def gone(site: Site) -> bool:
    """Has everything ended that was at work on images?"""
    return not [command for command in host.processes().values()
                if f"{site.root}/.staging" in command or str(site.config) in command or str(site.runtime_dir) in command]


def assert_whole(tree: Path) -> str:
    """What the generation in @tree says in the first and in the last file of it that is written; nothing before the
    first one that does."""
    first, last = tree / "aaa", tree / "zzz"
    assert first.exists() == last.exists(), tree
    assert not first.exists() or first.read_text() == last.read_text(), tree
    assert (tree / "usr/bin/bash").exists(), tree
    return first.read_text().strip() if first.exists() else ""


def output(site: Site, image: str, script: str) -> str:
    """What a script prints in a job on @image."""
    with running(site, image) as build:
        return build.run_script(script).stdout.decode()


def generations(site: Site) -> dict[str, dict]:
    """The rows of chroot-list by name, as in "debian@2"."""
    done = site.call("chroot-list", "--json")
    assert done.returncode == 0, str(done)
    return {row["name"]: row for row in json.loads(done.stdout)["images"]}


def assert_settled(site: Site) -> None:
    """Nothing is left but images and what is kept of them: no half of anything, no mount, no process, no job."""
    assert {path.name for path in site.root.iterdir() if path.name.startswith(".")} <= KEPT
    assert site.jobs() == []
    assert site.traces() == []
    assert not [command for command in host.processes().values() if "ansible" in command and str(site.root) in command]
