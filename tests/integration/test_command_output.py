# SPDX-License-Identifier: GPL-3.0-or-later
"""What each command looks like: on terminals of 80 and 200 columns and through a pipe, for root and for others."""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from lab import IMAGE, Site
from simulation.build import Build, Failure
from simulation.jobspec import Job
from terminal import run_on_terminals


class Call(NamedTuple):
    """A harmless call of a command. {words} are fields of World."""
    words: str
    status: int = 0  # for root; 1 and 2 with a message that has @says
    says: str = ""
    user: int | None = None  # for others, where they need not be root


# All commands of `nspawn-runner --help`.
CALLS = {
    "gitlab-config": Call("", user=0),
    "prepare": Call("--id 77 debain", 1, "did you mean 'debian'?"),
    "run": Call("--id 4711 /dev/null", 2, "see 'nspawn-runner status'"),
    "cleanup": Call("--id 4711"),
    "chroot-create": Call("debian", 1, "'nspawn-runner chroot-maintenance debian'"),
    "chroot-maintenance": Call("--dry-run", user=0),
    "chroot-list": Call(""),
    "chroot-login": Call("nosuch", 1, "Images in {root}: debian"),
    "chroot-run": Call("debian -- true"),
    "chroot-diff": Call("debian", 1, "no earlier generation", user=1),
    "chroot-rollback": Call("debian", 1, "no earlier generation"),
    "chroot-remove": Call("nosuch", 1, "Images in {root}: debian"),
    "chroot-copy": Call("debian debian", 1, "already exists"),
    "chroot-rename": Call("nosuch new", 1, "There is no image 'nosuch'"),
    "chroot-export": Call("nosuch", 1, "There is no image 'nosuch'"),
    "chroot-push": Call("debian nope", 2, "as in docker.io/library/NAME"),
    "chroot-pull": Call("nope", 2, "as in docker.io/library/NAME"),
    "check": Call("", user=0),
    "setup": Call("debian --dry-run --url https://gitlab.example.com/ --token-file {token} --toml {directory}/config.toml"),
    "toml": Call("", user=0),
    "exec": Call("--list", user=0),
    "doctor": Call("", user=1),
    "status": Call(""),
    "logs": Call("debian", 1, "'nspawn-runner chroot-maintenance' has not worked on it"),
    "shell": Call("4711", 1, "see 'nspawn-runner status'"),
    "job-diff": Call("{kept}"),
    "job-copy": Call("{kept} /etc/new {new}"),
    "gc": Call("--dry-run"),
    "df": Call(""),
    "metrics": Call(""),
    "prune": Call("--dry-run"),
    "cache": Call("list"),
}
# They print what programs read, whose lines must stay whole.
FOR_PROGRAMS = {"toml", "setup", "metrics"}
USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class World:
    """An image, the definition of another, a job that runs and one that is kept, and a project."""

    def __init__(self, site: Site):
        self.site = site
        self.fields = {"root": str(site.root), "directory": str(site.directory), "token": str(site.directory / "token")}
        # Others cannot read what is in root's home.
        self.program = site.directory / "bin/nspawn-runner"
        self.program.parent.mkdir()
        for part in site.lab.driver.parent.glob("nspawn-runner*"):
            if part.is_file():
                shutil.copy2(part, self.program.parent)
        site.define("work", "from: debian")
        (site.directory / "token").write_text("glrt-token\n")
        self.project = site.directory / "project"
        self.project.mkdir()
        (self.project / ".gitlab-ci.yml").write_text("build:\n  script: [make]\n" + "x" * 90 + ":\n  script: [make]\n")
        subprocess.run(["git", "init", "--quiet", self.project], check=True)

    def start_jobs(self) -> None:
        """One that failed, and one that runs."""
        failed = Build(self.site.runner(), Job(image=IMAGE)).begin()
        with suppress(Failure):
            failed.run_script("touch /etc/new; exit 3")
        failed.cleanup()
        self.fields["kept"] = self.site.job_id()
        Build(self.site.runner(), Job(image=IMAGE, name="compile: [" + "x" * 90 + "]")).begin()

    def argv(self, name: str, words: str, number: int) -> list[str]:
        """The command line of a call, the @number-th one."""
        words = words.format(**self.fields, new=str(self.site.directory / f"new{number}"))
        return [str(self.program), "--config", str(self.site.config), name, *words.split()]

    def call(self, argv: list[str], columns: int | None, **env: str) -> tuple[int, str, str]:
        """Runs it, on terminals of that width or through pipes: exit status, stdout and stderr."""
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm", "HOME": str(self.site.directory), **env}
        if columns:
            return run_on_terminals(argv, columns, env=env, cwd=self.project)
        done = subprocess.run(argv, env=env, cwd=self.project, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(name="world")
def fixture_world(make_site, tiny_root: Path) -> Iterator[World]:
    """It is gone when the test ends, with its jobs."""
    site = make_site(root=tiny_root, default_image=IMAGE, keep_failed="1h")
    world = World(site)
    try:
        world.start_jobs()
        yield world
    finally:
        for job in site.jobs():
            assert site.call("cleanup", "--now", "--id", job).returncode == 0


def check_fits(name: str, columns: int, out: str) -> None:
    """Each line of what is shown fits the window. Messages, on stderr, have one line each, however long."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", out)
    long = [line for line in plain.splitlines() if len(line) > columns]
    # A path that leaves no room for more than a word cannot be shortened.
    assert name in FOR_PROGRAMS or all(any(len(word) > columns - 8 for word in line.split()) for line in long), (name, long)


def check_others(world: World) -> None:
    """They are told once that they need root, or get what they asked for."""
    for name, call in CALLS.items():
        for columns in (80, None):
            status, out, err = world.call(USER + world.argv(name, call.words, 0), columns, NO_COLOR="1")
            if call.user is not None:
                assert (status, "Only root" in err) == (call.user, False), (name, out, err)
                continue
            assert status == (2 if name in ("prepare", "run", "cleanup") else 1) and not out, (name, status, out, err)
            assert len(err.splitlines()) == 1 and f"Only root can do this: try 'sudo nspawn-runner {name}'" in err, (name, err)


def test_commands(world: World) -> None:
    """Each command, for root and then for others."""
    for name, call in CALLS.items():
        seen = []
        for number, (columns, env) in enumerate(((80, {"NO_COLOR": "1"}), (200, {}), (None, {}))):
            status, out, err = world.call(world.argv(name, call.words, number), columns, **env)
            seen.append((columns, status, out, err))
            assert status == call.status, (name, seen[-1])
            assert ("ERROR: " in err) == (status != 0) and call.says.format(**world.fields) in err, (name, seen[-1])
            assert not out or status == 0, (name, "errors go to stderr", seen[-1])
            colors = bool(re.search(r"\x1b\[[\d;]*m", out + err))
            assert colors == (columns == 200 and (status != 0 or name in ("doctor", "job-diff"))), (name, seen[-1])
            if columns:
                check_fits(name, columns, out)
            else:
                assert "\x1b" not in out + err and "\r" not in out + err, (name, seen[-1])
    check_others(world)


def test_help(driver: Path) -> None:
    """It names all commands, and is broken at words on a terminal, and nowhere else."""
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm"}
    for name in (None, *CALLS):
        argv = [str(driver), *([name] if name else []), "--help"]
        whole = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
        if not name:
            assert re.findall(r"^  ([a-z]\S*)", whole.partition("\nOptions:")[0], re.MULTILINE) == list(CALLS)
        for columns in (80, 200):
            status, out, err = run_on_terminals(argv, columns, env=env)
            assert (status, err) == (0, "") and out.split() == whole.split(), (name, out, err)
            assert max(map(len, out.splitlines())) <= columns, (name, out)
