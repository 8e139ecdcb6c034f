# SPDX-License-Identifier: GPL-3.0-or-later
"""Small projects, and what `exec` makes of them: one folder each in tests/exec. tests/exec/README.md says how they are
written. And the examples in the documents about `exec`.

Called by meson as `python3 test-exec.py PROGRAM SOURCE`; TEST-EXEC=write in the environment writes expectations anew.
"""

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(2)).resolve()
PROGRAM = os.path.abspath(sys.argv.pop(1))
PROJECTS = SOURCE / "tests/exec"
WRITE = os.environ.get("TEST-EXEC") == "write"
HOME = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
# Nothing of the user's or the host's own configuration.
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": HOME.name, "GIT_CONFIG_NOSYSTEM": "1",
               "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "GIT_AUTHOR_DATE": "2024-01-01T00:00:00+00:00",
               "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
               "GIT_COMMITTER_DATE": "2024-01-02T03:04:05+00:00"}


def git(directory: Path, *arguments: str) -> None:
    """Runs git, which must succeed."""
    subprocess.run(["git", "-C", str(directory), *arguments], env=ENVIRONMENT, check=True, capture_output=True)


@functools.cache
def template() -> tempfile.TemporaryDirectory:
    """An empty repository, to copy."""
    directory = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
    git(Path(directory.name), "init", "-q", "-b", "main", "--template=")
    git(Path(directory.name), "remote", "add", "origin", "https://gitlab.example.com/group/project.git")
    return directory


def make(project: Path, directory: Path) -> None:
    """A working copy with the project's files on branch main; with .topic, a branch of that name that adds its files."""
    shutil.copytree(project, directory, ignore=shutil.ignore_patterns("expect", "run", ".topic"))
    shutil.copytree(Path(template().name) / ".git", directory / ".git")
    git(directory, "add", "-A", "-f")
    git(directory, "commit", "-q", "-m", "First\n\nThe body")
    if (project / ".topic").is_dir():
        git(directory, "checkout", "-q", "-b", "topic")
        shutil.copytree(project / ".topic", directory, dirs_exist_ok=True, copy_function=shutil.copyfile)
        git(directory, "add", "-A", "-f")
        git(directory, "commit", "-q", "-m", "Second")


def row(job: dict) -> str:
    """One line for a job."""
    if not job["included"]:
        return f"{job['name']} - {job['why']}"
    line = f"{job['name']} | {job['stage']} | {job['turn'] or 'never'}"
    if job["when"] != "on_success":
        line += f" {job['when']}"
    if job["start_in"]:
        line += f" after {job['start_in']}"
    if job["allow_failure"]:
        line += " may-fail"
    if job["retry"]:
        line += f" retry={job['retry']}"
    if job["interruptible"]:
        line += " interruptible"
    if job["needs"] is not None:
        line += f" < {', '.join(job['needs'])}".rstrip()
    return line


def call(directory: Path, options: str) -> list[str]:
    """What one call prints, line by line."""
    listing = "--explain" not in options and "--show" not in options
    arguments = ["--list", "--json"] if listing else []
    done = subprocess.run([PROGRAM, "exec", *arguments, *shlex.split(options)], cwd=directory, env=ENVIRONMENT, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    problems = ["! " + line.removeprefix("ERROR: ") for line in done.stderr.splitlines()]
    if done.returncode != 0:
        assert problems and not done.stdout, (options, done)
        return problems
    warnings = [line for line in problems if line.startswith("! WARNING: ")]
    assert warnings == problems, done.stderr
    if not listing:
        return warnings + done.stdout.splitlines()
    found = json.loads(done.stdout)
    lines = warnings + ([] if found["created"] else [f"none: {found['why']}"])
    if found["name"]:
        lines.append(f"name: {found['name']}")
    return lines + [row(job) for job in found["jobs"]]


def expectations(project: Path) -> list[tuple[str, list[str]]]:
    """The calls of a project, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in (project / "expect").read_text(encoding="utf-8").splitlines():
        if line.startswith("$"):
            found.append((line[1:].strip(), []))
        else:
            found[-1][1].append(line)
    return found


class Projects(unittest.TestCase):
    """Each folder."""

    maxDiff = None

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)

    def test_projects(self):
        projects = sorted(path.parent for path in PROJECTS.glob("*/expect"))
        self.assertGreaterEqual(len(projects), 20)
        for project in projects:
            directory = self.path / project.name
            make(project, directory)
            calls = expectations(project)
            if WRITE:
                calls = [(options, call(directory, options)) for options, _ in calls]
                (project / "expect").write_text("".join("\n".join([f"$ {options}".rstrip(), *lines]) + "\n" for options, lines in calls),
                                                encoding="utf-8")
            for options, lines in calls:
                with self.subTest(project=project.name, options=options):
                    self.assertEqual(call(directory, options), lines)
            shutil.rmtree(directory)

    def test_each_folder_is_a_project(self):
        for path in PROJECTS.iterdir():
            if path.is_dir():
                self.assertTrue((path / "expect").exists(), path)

    def test_examples(self):
        """Lines that the documents tell readers to type."""
        directory = self.path / "ours" / "project"
        directory.parent.mkdir()
        make(PROJECTS / "examples", directory)
        shutil.copytree(PROJECTS / "examples/lint", directory.parent / "lint")
        seen = 0
        for document in (SOURCE / "README.md", SOURCE / "docs/exec.md", SOURCE / "man/nspawn-runner-exec.1.scd"):
            for line in re.findall(r"^nspawn-runner (exec .*)$", document.read_text(encoding="utf-8"), re.MULTILINE):
                seen += 1
                with self.subTest(document=document.name, line=line):
                    done = subprocess.run([PROGRAM, *shlex.split(line)], cwd=directory, env=ENVIRONMENT, text=True,
                                          capture_output=True, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertTrue(done.stdout)
        self.assertGreaterEqual(seen, 8)


class Command(unittest.TestCase):
    """Options, exit statuses, users."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)
        os.chmod(self.path, 0o755)
        (self.path / ".gitlab-ci.yml").write_text("a: {script: x, rules: [{if: '$V == \"1\"'}]}\nb: {script: x}\n")

    def call(self, *arguments, **environment):
        return subprocess.run([PROGRAM, "exec", *arguments], cwd=self.path, env=ENVIRONMENT | environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)

    def names(self, *arguments, **environment):
        done = self.call("--list", "--json", *arguments, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [job["name"] for job in json.loads(done.stdout)["jobs"]]

    def test_misuse(self):
        for arguments, part in ((["--list", "job"], "or the jobs to run"), (["--dry-run", "--needs"], "goes with the names"), (["--list", "--show"], "Give one of"), (["--all", "--show"], "--list only"),
                                (["--json", "--explain", "a"], "--list and --show only"), (["--list", "--variable", "x"], "NAME=VALUE"),
                                (["--list", "--input", "=x"], "NAME=VALUE"), (["--list", "--source", "pusch"], "did you mean 'push'?"),
                                (["--list", "--source", "tag"], "name one with --ref"), (["--list", "--include-root", "x"], "NAME=VALUE")):
            with self.subTest(arguments=arguments):
                done = self.call(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(part, done.stderr)

    def trap(self, kind, path):
        """Something that is not there to be read. The first one would make who opens it wait."""
        match kind:
            case "pipe":
                os.mkfifo(path)
                return "it is no regular file"
            case "directory":
                path.mkdir()
                return "Is a directory"
            case "symlink":
                path.symlink_to("nowhere")
                return "it is a symlink to nothing"
        path.symlink_to("/dev/full")
        return "it is no regular file" if path.parent != self.path else "it is a symlink to nothing"

    def test_no_regular_files(self):
        """What is no file in the place of one neither keeps a call waiting nor is passed over."""
        home = self.path / "home"
        home.mkdir()
        for kind in ("pipe", "directory", "symlink", "device"):
            for path, arguments in ((self.path / ".nspawn-runner-exec.yaml", []), (home / ".nspawn-runner-exec.yaml", []),
                                    (self.path / ".gitlab-ci-local-variables.yml", []),
                                    (self.path / "part.yml", ["--file", "part.yml"]),
                                    (self.path / "v.env", ["--variable-file", "v.env"])):
                with self.subTest(kind=kind, path=path.name):
                    why = self.trap(kind, path)
                    if path.name in ("part.yml", "v.env") and kind in ("symlink", "device"):
                        why = ""
                    done = self.call("--list", *arguments, HOME=str(home))
                    self.assertEqual((done.returncode, done.stdout), (1, ""), done)
                    self.assertIn(path.name, done.stderr)
                    self.assertIn(why, done.stderr)
                    path.rmdir() if kind == "directory" else path.unlink()

    def test_variables_from_a_pipe(self):
        """A shell's own pipe for a program's output, or for what is typed, is read to its end."""
        for script in ("exec --list --json --variable-file <(sleep 0.1; echo V=1)", "exec --list --json --variable-file /dev/stdin"):
            done = subprocess.run(["bash", "-c", f"(sleep 0.1; echo V=1) | {shlex.quote(PROGRAM)} {script}"], cwd=self.path,
                                  env=ENVIRONMENT, text=True, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual([job["name"] for job in json.loads(done.stdout)["jobs"]], ["a", "b"])

    def test_failures(self):
        for arguments, part in ((["--explain", "c"], "There is no job 'c'"), (["--list", "-C", "none"], "Cannot open the directory 'none'"),
                                (["--list", "--file", "none.yml"], "file 'none.yml' is not there"),
                                (["--list", "--file", "none.yml"], f"'{self.path}' is taken as the working copy"),
                                (["--dry-run", "c"], "'nspawn-runner exec --list --all' shows all jobs"),
                                (["--dry-run", "--committed"], "--committed needs a git repository with a commit"),
                                (["--list", "--variable-file", "none"], "Cannot read the variables in 'none'"),
                                (["--list", "--include-root", "x=none"], "Cannot use 'none'")):
            with self.subTest(arguments=arguments):
                done = self.call(*arguments)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(part, done.stderr)

    def test_variables(self):
        self.assertEqual(self.names(), ["b"])
        self.assertEqual(self.names("--variable", "V=1"), ["a", "b"])
        self.assertEqual(self.names("--variable", "V=1", "--variable", "V=2"), ["b"])
        (self.path / "lines").write_text("# comment\n\nV=1\r\nW=x=y\n")
        (self.path / "map.yml").write_text("V: 1\n")
        self.assertEqual(self.names("--variable-file", "lines"), ["a", "b"])
        self.assertEqual(self.names("--variable-file", "map.yml"), ["a", "b"])
        self.assertEqual(self.names("--variable-file", "map.yml", "--variable", "V=2"), ["b"])
        (self.path / "bad").write_text("V=1\nx\n")
        self.assertIn("bad:2: must be NAME=VALUE", self.call("--list", "--variable-file", "bad").stderr)
        (self.path / "bad.yml").write_text("V: [1]\n")
        self.assertIn("bad.yml:1: variable 'V' must have a text", self.call("--list", "--variable-file", "bad.yml").stderr)

    def test_server(self):
        """A server below a path, which no URL tells from a group."""
        git(self.path, "init", "-q", "-b", "main")
        (self.path / "stand-in").mkdir()
        (self.path / "stand-in/c.yml").write_text("c: {script: x}\n")
        (self.path / ".gitlab-ci.yml").write_text("include: {project: g/ci, file: c.yml}\n"
            "'$CI': {script: x, environment: {name: x, url: '$CI_SERVER_URL'}, variables: {V: '$CI_SERVER_URL $CI_SERVER_FQDN $CI_SERVER_PORT $CI_PROJECT_PATH "
            "$CI_PROJECT_URL $CI_API_V4_URL $CI_DEPENDENCY_PROXY_SERVER'}}\n")
        git(self.path, "remote", "add", "origin", "x")
        for remote, server, wanted in (
                ("https://h.org/gitlab/g/p.git", "https://h.org/gitlab/", "https://h.org/gitlab h.org/gitlab 443 g/p https://h.org/gitlab/g/p https://h.org/gitlab/api/v4 h.org"),
                ("https://h.org/gitlab/g/p.git", "https://h.org", "https://h.org h.org 443 gitlab/g/p https://h.org/gitlab/g/p https://h.org/api/v4 h.org"),
                ("https://h.org/gitlabs/p.git", "https://h.org/gitlab", "https://h.org h.org 443 gitlabs/p https://h.org/gitlabs/p https://h.org/api/v4 h.org"),
                ("https://other.org/gitlab/p.git", "https://h.org/gitlab", "https://other.org other.org 443 gitlab/p https://other.org/gitlab/p https://other.org/api/v4 other.org"),
                ("git@h.org:g/p.git", "http://h.org:8080/a/b", "http://h.org:8080/a/b h.org:8080/a/b 8080 g/p http://h.org:8080/a/b/g/p http://h.org:8080/a/b/api/v4 h.org:8080"),
                ("ssh://git@h.org:2222/g/p.git", "https://h.org/gitlab", "https://h.org/gitlab h.org/gitlab 443 g/p https://h.org/gitlab/g/p https://h.org/gitlab/api/v4 h.org")):
            with self.subTest(remote=remote, server=server):
                git(self.path, "remote", "set-url", "origin", remote)
                done = self.call("--explain", "$CI", "--server", server, "--include-root", f"g/ci={self.path}/stand-in")
                self.assertIn(f'V="{wanted}"', done.stdout, done)
        (self.path / ".nspawn-runner-exec.yaml").write_text("server: https://h.org/gitlab\n")
        self.assertIn("'server' is not for a project to say", self.call("--list").stderr)

    def test_compare_to(self):
        """The server knows branches without a remote's name, and not those that are only here."""
        def commit() -> str:
            git(self.path, "add", "-A")
            git(self.path, "commit", "-q", "-m", "x")
            return subprocess.run(["git", "-C", self.path, "rev-parse", "HEAD"], env=ENVIRONMENT, text=True, check=True,
                                  capture_output=True).stdout.strip()

        git(self.path, "init", "-q", "-b", "main")
        first = commit()
        (self.path / "x").touch()
        second = commit()
        for name, here, there in (("there", None, first), ("both", second, first), ("here", first, None), ("same", None, second)):
            for ref, value in ((f"refs/heads/{name}", here), (f"refs/remotes/origin/{name}", there)):
                if value:
                    git(self.path, "update-ref", ref, value)
        names = ("there", "refs/heads/there", "both", "refs/heads/both", "here", "refs/heads/here", first, "same", second)
        configuration = self.path / ".gitlab-ci.yml"
        configuration.write_text("always: {script: x}\n" + "".join(
            f"to {name}: {{script: x, rules: [{{changes: {{paths: [x], compare_to: {name}}}}}]}}\n" for name in names))
        commit()
        self.assertEqual(self.names(), ["always", *(f"to {name}" for name in names[:7])])

        git(self.path, "checkout", "-q", "--orphan", "alone")
        commit()
        done = self.call("--list")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("names 'there', which has no commit in common", done.stderr)
        configuration.write_text("a: {script: x, rules: [{changes: {paths: [x], compare_to: refs/heads/nowhere}}]}\n")
        self.assertIn("names 'refs/heads/nowhere', which is no branch, tag or commit here", self.call("--list").stderr)

    def test_options_files(self):
        """.nspawn-runner-exec.yaml: the command line is stronger than the project's, and that is stronger than the home's."""
        home = self.path / "home"
        (home / "shared/ci").mkdir(parents=True)
        (home / "shared/ci/x.yml").write_text("from_home: {script: x}\n")
        (home / "values").write_text("V=1\n")
        (self.path / "stand-in").mkdir()
        (self.path / "stand-in/x.yml").write_text("from_project: {script: x}\n")
        (self.path / ".gitlab-ci.yml").write_text(
            "spec: {inputs: {name: {default: none}}}\n---\ninclude: {project: group/ci, file: x.yml}\n"
            "a: {script: x, rules: [{if: '$V == \"1\" && $CI_PIPELINE_SOURCE == \"web\"'}]}\n'$[[ inputs.name ]]': {script: x}\n")
        theirs, own = home / ".nspawn-runner-exec.yaml", self.path / ".nspawn-runner-exec.yaml"
        theirs.write_text("# comment\njobs: 4\nartifacts: ~/got\nsource: web\nvariable-file: values\ninputs: {name: h}\n"
                          "include-root: {group/ci: shared/ci}\n")
        self.assertEqual(self.names(HOME=str(home)), ["from_home", "a", "h"])
        own.write_text("source: push\nvariables: {V: {value: 2}}\ninputs: {name: p}\ninclude-root: {group/ci: stand-in}\n")
        self.assertEqual(self.names(HOME=str(home)), ["from_project", "p"])
        self.assertEqual(self.names("--source", "web", HOME=str(home)), ["from_project", "p"])
        self.assertEqual(self.names("--source", "web", "--variable-file", str(home / "values"), "--input", "name=c", "--include-root",
                                    f"group/ci={home}/shared/ci", HOME=str(home)), ["from_home", "a", "c"])
        own.write_text("")
        self.assertEqual(self.names(HOME=str(home)), ["from_home", "a", "h"])

        # The example of the manual page.
        page = (SOURCE / "man/nspawn-runner-exec.1.scd").read_text(encoding="utf-8")
        theirs.write_text(re.search(r"^(# ~/\.nspawn-runner-exec.yaml\n.*?)^```", page, re.MULTILINE | re.DOTALL)[1])
        (home / "src/lint/templates").mkdir(parents=True)
        (home / "src/lint/templates/lint.yml").write_text("lint: {script: x}\n")
        (self.path / ".gitlab-ci.yml").write_text("include: {component: gitlab.example.com/ci/lint/lint@1.0}\n")
        self.assertEqual(self.names(HOME=str(home)), ["lint"])

    def test_options_files_mistakes(self):
        """They are shown with their places. A project cannot name what is outside of it, nor what is its user's to say."""
        own = self.path / ".nspawn-runner-exec.yaml"
        os.symlink("/etc", self.path / "link")
        os.symlink("/etc/passwd", self.path / "passwd")
        for text, part in (("jobs: 64\n", ":1:1: 'jobs' is not for a project to say"),
                           ("\nartifacts: /\n", ":2:1: 'artifacts' is not for a project to say"),
                           ("imagedefault: x\n", ":1:1: 'imagedefault' is no option here; did you mean 'image-default'?"),
                           ("[a]\n", ":1: must be a mapping of options"), ("source: [push]\n", "'source' must be a text"),
                           ("source: pusch\n", "did you mean 'push'?"), ("variables: x\n", "'variables' must be a mapping"),
                           ("variables: {V: [1]}\n", ":1: variable 'V' must have a text"),
                           ("variable-file: [{a: b}]\n", "'variable-file' must be a text or a list of texts"),
                           ("variable-file: /etc/passwd\n", "'/etc/passwd' must be the path of a file in the project"),
                           ("variable-file: [../x]\n", "'../x' must be the path of a file in the project"),
                           ("variable-file: passwd\n", "Cannot read the variables in 'passwd'"),
                           ("include-root: {x/y: /etc}\n", "'x/y' must have the path of a directory in the project"),
                           ("include-root: {x/y: ../..}\n", "'x/y' must have the path of a directory in the project"),
                           ("include-root: {x/y: link}\n", "link' as the directory of 'x/y'"), ("a: [\n", ".nspawn-runner-exec.yaml:2:")):
            with self.subTest(text=text):
                own.write_text(text)
                done = self.call("--list")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(part, done.stderr)
                self.assertNotIn("root:", done.stderr + done.stdout)
        own.unlink()
        home = self.path / "home"
        home.mkdir()
        (home / own.name).write_text("x: 1\njobs: {}\n")
        done = self.call("--list", HOME=str(home))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{home}/{own.name}:1:1: 'x' is no option", done.stderr)
        self.assertIn(f"{home}/{own.name}:2:1: 'jobs' must be a text", done.stderr)

    def test_table(self):
        done = self.call("--list", "--all")
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()], ["JOB", "a", "b"])
        self.assertIn("no rule matches", done.stdout)

    def test_directory(self):
        done = subprocess.run([PROGRAM, "exec", "--list", "--json", "-C", self.path], cwd="/", env=ENVIRONMENT, text=True,
                              capture_output=True, check=False)
        self.assertEqual(json.loads(done.stdout)["jobs"][0]["name"], "b")

    def test_nothing_for_the_terminal(self):
        """Names of jobs, stages and files are the repository's: a terminal must obey none of them."""
        (self.path / ".gitlab-ci.yml").write_text('"a\\e]0;x\\a\\e[2Jb": {script: x, stage: "s\\e[1m", variables: {V: "\\e[5m"}, rules: [{exists: ["f*"]}]}\n'
                                                  'stages: ["s\\e[1m"]\n"m\\e[1m": {script: x, when: manual, stage: "s\\e[1m"}\nworkflow: {name: "w\\e[1m"}\n')
        (self.path / "f\x1b[2J\nx").touch()
        for arguments in (["--list"], ["--list", "--all"], ["--show"], ["--list", "--json"], ["--dry-run"], ["--explain", "a\x1b]0;x\x07\x1b[2Jb"],
                          ["--explain", "\x1b[2J"], ["--file", "\x1b[2J", "--list"]):
            with self.subTest(arguments=arguments):
                done = self.call(*arguments)
                self.assertTrue(done.stdout + done.stderr)
                self.assertNotRegex(done.stdout + done.stderr, "[\x00-\x08\x0b-\x1f\x7f]")

    def test_links_lead_nowhere_else(self):
        """Neither an include nor the configuration itself reads what is outside the project."""
        outside = tempfile.NamedTemporaryFile("w", suffix=".yml", prefix="nspawn-runner-test-")
        self.addCleanup(outside.close)
        outside.write("secret: {script: x}\n")
        outside.flush()
        os.symlink(outside.name, self.path / "link.yml")
        (self.path / "up.yml").write_text(f"include: /../..{outside.name}\nb: {{script: x}}\n")
        for name in ("link.yml", "up.yml"):
            done = self.call("--list", "--file", name)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("is not there", done.stderr)

    def test_nothing_waits(self):
        """A named pipe in place of a file would make who opens it wait for ever. No such file is opened, by git neither."""
        git(self.path, "init", "-q", "-b", "main")
        git(self.path, "commit", "-q", "--allow-empty", "-m", "x")
        (self.path / "deep/er").mkdir(parents=True)
        (self.path / ".git/info/exclude").unlink(missing_ok=True)
        os.symlink("/dev/null", self.path / ".git/info/exclude")
        self.assertEqual(self.names("-C", "deep/er", "--file", ".gitlab-ci.yml"), ["b"])
        for name in (".git/config", ".git/HEAD", ".git/index", ".git/packed-refs", ".git/info/attributes", ".git/objects/info/alternates",
                     ".git/refs/heads/main", ".gitignore", ".gitattributes", ".git"):
            with self.subTest(name=name):
                path, aside = self.path / name, self.path / "aside"
                if path.exists():
                    path.rename(aside)
                os.mkfifo(path)
                done = self.call("--list", "-C", "deep/er")
                path.unlink()
                if aside.exists():
                    aside.rename(path)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(f"'{path}' is a pipe or a device, for which git would wait", done.stderr)
        for name in (".gitlab-ci.yml", ".nspawn-runner-exec.yaml", ".gitlab-ci-local-variables.yml", "part.yml"):
            with self.subTest(name=name):
                (self.path / ".gitlab-ci.yml").write_text("include: part.yml\nb: {script: x}\n")
                (self.path / name).unlink(missing_ok=True)
                os.mkfifo(self.path / name)
                self.call("--list")
                (self.path / name).unlink()

    def test_repository_starts_nothing(self):
        """What a repository's own configuration names is not run: hooks, monitors, filters, and what fetches missing objects."""
        trap = self.path / "trap"
        trap.write_text(f"#!/bin/sh\necho \"$0 $*\" >>{self.path}/caught\n")
        trap.chmod(0o755)
        (self.path / ".gitlab-ci.yml").write_text("a: {script: x, rules: [{changes: [x, text], exists: [trap]}]}\n")
        (self.path / "text").write_text("1\n")
        git(self.path, "init", "-q", "-b", "main")
        git(self.path, "add", ".")
        git(self.path, "commit", "-q", "-m", "x")
        git(self.path, "commit", "-q", "--allow-empty", "-m", "y")
        (self.path / ".gitattributes").write_text("* filter=evil diff=evil\n")
        for name in ("core.fsmonitor", "core.hooksPath", "core.sshCommand", "core.gitProxy", "core.alternateRefsCommand", "core.pager", "diff.external",
                     "diff.evil.textconv", "diff.evil.command", "filter.evil.clean", "filter.evil.smudge", "gpg.program", "log.showSignature",
                     "credential.helper", "remote.origin.uploadpack", "uploadpack.packObjectsHook"):
            git(self.path, "config", name, str(trap))
        (self.path / "more").write_text(f"[filter \"evil\"]\n\tprocess = {trap}\n\trequired\n[safe]\n\tbareRepository = all\n")
        git(self.path, "config", "include.path", "../more")
        git(self.path, "config", "log.showSignature", "true")
        os.utime(self.path / "text", (1, 1))  # git has to read it to know that it did not change
        self.assertEqual(self.names(), [])
        (self.path / "text").write_text("2\n")
        self.assertEqual(self.names(), ["a"])
        # A partial clone lacks objects, and git would fetch them with the programs named above.
        for name, value in (("remote.origin.promisor", "true"), ("remote.origin.url", f"file://{self.path}"), ("extensions.partialClone", "origin"),
                            ("core.repositoryFormatVersion", "1"), ("protocol.allow", "always")):
            git(self.path, "config", name, value)
        tree = subprocess.run(["git", "-C", self.path, "-c", "core.fsmonitor=false", "rev-parse", "HEAD~1^{tree}", "HEAD:text"], env=ENVIRONMENT,
                              check=True, capture_output=True, text=True).stdout.split()
        for name in tree:
            (self.path / f".git/objects/{name[:2]}/{name[2:]}").unlink()
        self.call("--list")
        # Nor is a repository taken for one that is only a directory of the project.
        git(self.path, "init", "-q", "--bare", "bare")
        git(self.path / "bare", "--git-dir=.", "config", "core.worktree", str(self.path / "bare"))
        git(self.path / "bare", "--git-dir=.", "config", "core.fsmonitor", str(trap))
        (self.path / "bare/.gitlab-ci.yml").write_text("b: {script: x, rules: [{exists: [config]}]}\n")
        self.call("--list", "-C", "bare")
        self.assertFalse((self.path / "caught").exists(), (self.path / "caught").exists() and (self.path / "caught").read_text())

    def test_submodule_starts_nothing(self):
        """Nor what the configuration of a submodule names. That it is at another commit is a change."""
        inner, caught = self.path / "sub", self.path.parent / f"{self.path.name}-caught"
        self.addCleanup(caught.unlink, missing_ok=True)
        for directory in (self.path, inner):
            directory.mkdir(exist_ok=True)
            git(directory, "init", "-q", "-b", "main")
        (inner / "text").write_text("1\n")
        (inner / ".gitattributes").write_text("* filter=evil\n")
        git(inner, "add", ".")
        git(inner, "commit", "-q", "-m", "x")
        (self.path / ".gitlab-ci.yml").write_text("a: {script: x, rules: [{changes: [sub]}]}\n")
        (self.path / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n')
        git(self.path, "add", ".")
        git(self.path, "commit", "-q", "-m", "x")
        git(self.path, "commit", "-q", "--allow-empty", "-m", "y")
        for name in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor"):
            git(inner, "config", name, f"touch {caught}; cat")
        git(self.path, "config", "submodule.sub.ignore", "none")
        os.utime(inner / "text", (1, 1))  # git would have to read it
        self.assertEqual(self.names(), [])
        self.assertFalse(caught.exists())
        (inner / "text").write_text("2\n")
        self.assertEqual(self.names(), [])
        self.assertFalse(caught.exists())
        for name in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor"):
            git(inner, "config", "--unset", name)
        git(inner, "commit", "-q", "--allow-empty", "-m", "z")
        self.assertEqual(self.names(), ["a"])

    def test_foreign_repository(self):
        """Nothing in a working copy makes exec read another repository, unless that one says that it is its own."""
        place = Path(tempfile.mkdtemp(prefix="nspawn-runner-test-"))
        self.addCleanup(shutil.rmtree, place)
        secret, copy, inner = place / "secret", place / "copy", place / "copy/deep/er"
        for directory, name in ((secret, "s"), (copy, "c")):
            directory.mkdir()
            git(directory, "init", "-q", "-b", "main")
            (directory / ".gitlab-ci.yml").write_text(f"{name}: {{script: x}}\n")
            git(directory, "add", ".")
            git(directory, "commit", "-q", "-m", "x")
        inner.mkdir(parents=True)
        own = copy / ".git"

        def look(directory, why=None):
            done = self.call("--list", "-C", str(directory))
            if why:
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("Jobs would get another one", done.stderr)
                self.assertIn(why, done.stderr)
            else:
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("c", done.stdout)

        look(copy)
        look(inner)
        git(copy, "config", "core.worktree", str(place))
        look(copy, "core.worktree")
        git(copy, "config", "core.worktree", "../../secret")
        look(copy, "core.worktree")
        git(copy, "config", "core.worktree", "..")
        look(inner)
        git(copy, "config", "--unset", "core.worktree")
        (own / "commondir").write_text("../../secret/.git\n")
        look(copy, "commondir")
        (own / "commondir").unlink()
        for name in ("refs", "refs/heads/main", "packed-refs"):
            git(secret, "pack-refs", "--all", "--no-prune")
            aside = place / "aside"
            if (own / name).exists():
                (own / name).rename(aside)
            (own / name).symlink_to(secret / ".git" / name)
            look(copy, f"{name}' is a link")
            (own / name).unlink()
            if aside.exists():
                aside.rename(own / name)
        (own / "refs/heads/link").symlink_to("main")
        look(copy)
        # What is left of a .git is none, a .git above is another one's only if it says so.
        (inner / ".git").mkdir()
        look(inner)
        (inner / ".git").rmdir()
        git(inner, "init", "-q")
        git(inner, "config", "core.worktree", str(copy))
        look(inner, "core.worktree")
        shutil.rmtree(inner / ".git")
        for link in (False, True):
            archive = place / f"archive{link}"
            archive.mkdir()
            if link:
                (archive / ".git").symlink_to("../secret/.git")
            else:
                (archive / ".git").write_text("gitdir: ../secret/.git\n")
            look(archive, f"leads to '{secret}/.git'")
        # It names the working copy, but is not of the repository that it leads to.
        fake = place / "fake"
        shutil.copytree(own, fake, symlinks=True)
        (fake / "commondir").write_text("../secret/.git\n")
        (fake / "gitdir").write_text(f"{archive}/.git\n")
        (archive / ".git").unlink()
        (archive / ".git").write_text("gitdir: ../fake\n")
        look(archive, f"leads to '{fake}'")
        git(copy, "worktree", "add", "-q", "--detach", str(place / "linked"))
        look(place / "linked")
        (place / "moved").mkdir()
        shutil.copy(place / "linked/.git", place / "moved/.git")
        look(place / "moved", "which does not name this working copy")
        git(secret, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(copy), "sub")
        look(secret / "sub")
        git(place, "clone", "-q", "--shared", str(copy), "shared")
        done = self.call("--list", "-C", str(place / "shared"))
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"The repository has commits in '{copy}/.git/objects', too", done.stderr)

    def test_git_refuses(self):
        """A repository that git does not read is no repository, and that is said."""
        git(self.path, "init", "-q", "-b", "main")
        (self.path / "sub").mkdir()
        self.assertEqual(self.names("-C", "sub"), ["b"])
        (self.path / "no-git").mkdir()
        done = self.call("--list", PATH=str(self.path / "no-git"))
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"git does not read the repository of '{self.path}'", done.stderr)
        if os.geteuid() == 0:
            done = self.call("--list", SUDO_UID="65534", SUDO_GID="65534")
            self.assertEqual(done.returncode, 0)
            self.assertIn("does the repository belong to the user who calls", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "it needs root")
    def test_rights_are_given_up(self):
        """Under sudo, files are read as the caller; and for root's own shell, as the owner of the directory."""
        secret = self.path / "secret.yml"
        secret.write_text("secret: {script: x}\n")
        secret.chmod(0o600)
        self.assertEqual(self.names("--file", "secret.yml"), ["secret"])
        done = self.call("--list", "--file", "secret.yml", SUDO_UID="65534", SUDO_GID="65534")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("cannot read 'secret.yml': Permission denied", done.stderr)
        self.assertEqual(self.names(SUDO_UID="65534", SUDO_GID="65534"), ["b"])
        self.assertEqual(self.call("--list", "--source", "no", SUDO_UID="65534", SUDO_GID="65534").returncode, 2)
        os.chown(self.path, 65534, 65534)
        self.assertEqual(self.call("--list", "--file", "secret.yml").returncode, 1)


if __name__ == "__main__":
    unittest.main()
