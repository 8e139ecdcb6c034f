# SPDX-License-Identifier: GPL-3.0-or-later
"""`exec` runs pipelines in real containers: the projects in tests/exec that have a file `run` (see the README there), and what
the host and the working copy must not feel of it."""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import termios
from pathlib import Path
from typing import Iterator

import host
import pytest

from lab import IMAGE, Lab, Site
from pace import wait_until
from terminal import Terminal

PROJECTS = Path(__file__).resolve().parents[1] / "exec"
USER = 54321
STRACE = shutil.which("strace")
# How the table at the end calls a status.
WORDS = {"success": "passed", "created": "not started"}
GIT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
       "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org"}


class Copy:
    """A working copy of a user who calls sudo, with a home."""

    def __init__(self, site: Site, name: str = "copy"):
        self.site = site
        self.base = site.directory / f"exec-{name}"
        self.top, self.home = self.base / "project", self.base / "home"
        self.home.mkdir(parents=True)
        self.top.mkdir()
        self.base.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """What sudo leaves of the environment."""
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.home), "SUDO_UID": str(USER),
                "SUDO_GID": str(USER), "TMPDIR": str(self.site.directory / "tmp")}

    def own(self) -> None:
        """Gives everything to the user."""
        subprocess.run(["chown", "-R", f"{USER}:{USER}", self.base], check=True)

    def git(self, *arguments: str) -> str:
        """Runs git as the user."""
        self.own()
        return subprocess.run(["git", "-C", str(self.top), *arguments], user=USER, group=USER, extra_groups=[], check=True,
                              env={**self.environment(), **GIT}, capture_output=True, text=True).stdout

    def commit(self) -> None:
        """Makes a repository of what there is."""
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", "First")

    def write(self, **files: str) -> None:
        """Writes files: "gitlab_ci" is .gitlab-ci.yml."""
        for name, text in files.items():
            (self.top / (".gitlab-ci.yml" if name == "gitlab_ci" else name)).write_text(text)
        self.own()

    def argv(self, *options: str) -> list[str]:
        """The call."""
        return self.site.argv("exec", "-C", str(self.top), *options)

    def run(self, *options: str) -> subprocess.CompletedProcess:
        """Runs it to its end; nothing may be left."""
        done = subprocess.run(self.argv(*options), env=self.environment(), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, cwd=self.top)
        assert self.site.traces() == [], done
        return done


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[Site]:
    """One configuration for all tests of this file."""
    site = Site(lab, {"default_image": IMAGE})
    yield site
    assert site.close() == []


def log_of(job: str, output: str) -> list[str]:
    """The lines of one job."""
    return [line.partition(" | ")[2] for line in output.splitlines() if line.partition(" | ")[0].rstrip() == job]


def check(line: str, done: subprocess.CompletedProcess, got: Path) -> None:
    """One line of a file `run`."""
    lines = done.stdout.splitlines()
    if line[:2] in ("+ ", "~ "):
        found = (got / line[2:]).is_file() if line[0] == "+" else line[2:] in done.stdout
        assert found, f"{line}\n{done.stdout}{done.stderr}"
        return
    if match := re.fullmatch(r"(.+?) ([|!]) (.*)", line):
        job, kind, text = match.groups()
        found = any(text in entry for entry in log_of(job, done.stdout))
        assert found == (kind == "|"), f"{line}\n{done.stdout}{done.stderr}"
    elif match := re.fullmatch(r"(.+) < (.+)", line):
        ends = [i for i, entry in enumerate(lines) if re.match(re.escape(match[1]) + r" *\| Job ", entry)]
        starts = [i for i, entry in enumerate(lines) if re.match(re.escape(match[2]) + r" *\| Starting", entry)]
        assert ends and starts and ends[0] < starts[0], f"{line}\n{done.stdout}"
    else:
        job, _, status = line.rpartition(": ")
        row = re.escape(job) + r" +\S+ +" + re.escape(WORDS.get(status, status)) + " .*"
        assert any(re.fullmatch(row, entry) for entry in lines), f"{line}\n{done.stdout}{done.stderr}"


def run_project(place: Site, project: str) -> None:
    """Order, logs, artifacts and exit status."""
    copy = Copy(place, project)
    shutil.rmtree(copy.top)
    shutil.copytree(PROJECTS / project, copy.top, ignore=shutil.ignore_patterns("expect", "run", ".topic"))
    copy.commit()
    calls = re.split(r"^\$", (PROJECTS / project / "run").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for call in calls:
        options, *lines = call.rstrip("\n").split("\n")
        status = next((int(line[2:]) for line in lines if line.startswith("= ")), 0)
        done = copy.run(*(str(copy.home / "got") if option == "GOT" else option for option in shlex.split(options)))
        assert done.returncode == status, f"{options}: {done.returncode}\n{done.stdout}{done.stderr}"
        for line in lines:
            if not line.startswith("= "):
                check(line, done, copy.home / "got")


PROJECTS_THAT_RUN = sorted(path.parent.name for path in PROJECTS.glob("*/run"))


@pytest.mark.parametrize("project", [name for name in PROJECTS_THAT_RUN if not name.startswith("shape-")])
def test_project(place: Site, project: str) -> None:
    """What a file `run` says."""
    run_project(place, project)


# The images that the projects shape-* ask for.
IMAGES = ("debian:bookworm", "node:20-alpine", "python:3.11")


class Workshop(Site):
    """One whose images are mounts."""

    def traces(self) -> list[str]:
        """Without those."""
        return [line for line in super().traces() if not (line.startswith("mount ") and f" {self.root}/" in line)]


@pytest.fixture(name="workshop", scope="module")
def fixture_workshop(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A configuration with those images: they are one and the same tree, which nobody copies."""
    root = lab.base / "workshop-root"
    with contextlib.ExitStack() as stack:
        for name in IMAGES:
            (root / name).mkdir(parents=True)
            subprocess.run(["mount", "--bind", "-o", "ro", request.config.getoption("--projects-dir"), root / name], check=True)
            stack.callback(host.unmount, root / name)
        site = Workshop(lab, {"network": "none"}, root)
        yield site
        assert site.close() == []


@pytest.mark.parametrize("project", [name for name in PROJECTS_THAT_RUN if name.startswith("shape-")])
def test_shape(workshop: Site, project: str) -> None:
    """Whole pipelines as real projects have them."""
    run_project(workshop, project)


def listing(directory: Path) -> list[tuple[str, int, int, int]]:
    """All files with their owners and times."""
    return sorted((str(path), path.lstat().st_uid, path.lstat().st_mtime_ns, path.lstat().st_size)
                  for path in directory.rglob("*"))


def test_sources(place: Site) -> None:
    """The working copy as it is, as a repository with the right commit; it is only read, and hooks and filters do not run."""
    copy = Copy(place, "sources")
    copy.write(gitlab_ci="a:\n  script:\n    - git diff-index --name-only HEAD | sed s/^/differs:/\n    - git status --short\n    - git rev-parse HEAD\n    - cat large.bin\n    - cat tracked\n    - cat deep/er/new\n"
                         "    - readlink link\n    - test -x program\n    - test ! -e ignored\n    - git log --oneline | wc -l\n"
                         "    - stat -c 'time %Y %a' program\n    - git fsck 2>&1 | sed s/^/fsck:/\n",
               tracked="old\n", program="#!/bin/sh\n", gone="x\n", touched="same\n", hidden="old\n", **{".gitignore": "ignored\n", "large.bin": "all of it\n",
                ".gitattributes": "* filter=evil\n*.bin filter=large\n"})
    # As Git LFS does it: the repository has something short, the working copy the whole file. The filter is the user's own.
    (copy.home / ".gitconfig").write_text("[filter \"large\"]\n\tclean = sed s/.*/pointer/\n")
    for name in ("program", "large.bin"):
        os.utime(copy.top / name, (1e9, 1e9))
    (copy.top / "program").chmod(0o755)
    os.symlink("/etc/passwd", copy.top / "link")
    copy.commit()
    copy.git("update-index", "--assume-unchanged", "hidden")
    evil = copy.base / "evil"
    copy.git("config", "filter.evil.clean", f"touch {evil}; cat")
    copy.git("config", "filter.evil.smudge", f"touch {evil}; cat")
    copy.git("config", "core.fsmonitor", f"touch {evil}")
    copy.git("config", "uploadpack.packObjectsHook", f"touch {evil}; true")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (copy.top / ".git/hooks").mkdir(exist_ok=True)
        (copy.top / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch {evil}\n")
        (copy.top / ".git/hooks" / hook).chmod(0o755)
    os.utime(copy.top / "touched")
    (copy.top / "gone").unlink()
    (copy.top / "deep/er").mkdir(parents=True)
    copy.write(tracked="changed\n", hidden="changed\n", ignored="secret\n", **{"deep/er/new": "untracked\n"})
    before = listing(copy.top)
    done = copy.run()
    lines = log_of("a", done.stdout)
    head = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(copy.top), "rev-parse", "HEAD"], capture_output=True,
                          text=True, check=True).stdout.strip()
    assert done.returncode == 0, done
    assert {" D gone", " M hidden", " M tracked", "?? deep/", head, "changed", "untracked", "/etc/passwd", "1", "all of it",
            "time 1000000000 755"} <= set(lines), done.stdout
    assert not [line for line in lines if line.startswith((" M large", " M touched", "fsck:error", "fsck:bad"))], done.stdout
    # Before git looked at the files: the index knows them.
    assert [line for line in lines if line.startswith("differs:")] == ["differs:gone", "differs:hidden", "differs:tracked"], done.stdout
    assert listing(copy.top) == before
    assert not evil.exists()
    assert all(entry[1] == USER for entry in listing(copy.home))

    done = copy.run("--committed")
    assert "old" in log_of("a", done.stdout) and "pointer" in log_of("a", done.stdout) and " M tracked" not in log_of("a", done.stdout), done.stdout
    assert not [line for line in log_of("a", done.stdout) if line.startswith("differs:")], done.stdout

    os.chown(copy.top / "tracked", 0, 0)
    (copy.top / "tracked").chmod(0)
    done = copy.run()
    assert done.returncode == 1 and "Cannot read 'tracked': Permission denied" in done.stderr, done


def test_submodules(place: Site) -> None:
    """Files of submodules, as they are: those of the first level, or of all; none unless the job asks for them."""
    copy = Copy(place, "submodules")
    allow = ("-c", "protocol.file.allow=always")
    for name, inner in (("deep", None), ("sub", "deep")):
        library = copy.base / name
        library.mkdir()
        (library / "file").write_text(f"{name} old\n")
        copy.git("-C", str(library), "init", "-q", "-b", "main")
        if inner:
            copy.git(*allow, "-C", str(library), "submodule", "add", "-q", str(copy.base / inner), inner)
        copy.git("-C", str(library), "add", "-A")
        copy.git("-C", str(library), "commit", "-q", "-m", "First")
    script = "script: ['test -d sub', 'find sub -name file | sort | xargs -r cat', 'git status --short | sed s/^/status:/', 'echo end']"
    copy.write(gitlab_ci=f"none: {{{script}}}\nnormal: {{variables: {{GIT_SUBMODULE_STRATEGY: normal}}, {script}}}\n"
                         f"recursive: {{variables: {{GIT_SUBMODULE_STRATEGY: recursive}}, {script}}}\n")
    copy.git("init", "-q", "-b", "main")
    copy.git(*allow, "submodule", "add", "-q", str(copy.base / "sub"), "sub")
    copy.git(*allow, "submodule", "update", "-q", "--init", "--recursive")
    copy.git("add", "-A")
    copy.git("commit", "-q", "-m", "First")
    (copy.top / "sub/file").write_text("sub changed\n")
    copy.own()
    done = copy.run("--jobs", "3")
    assert done.returncode == 0, done
    for job, files in (("none", []), ("normal", ["sub changed"]), ("recursive", ["deep old", "sub changed"])):
        found = [line for line in log_of(job, done.stdout) if line.endswith((" old", " changed"))]
        assert sorted(found) == files, done.stdout
        assert not [line for line in log_of(job, done.stdout) if line.startswith("status:")], done.stdout
        assert "WARNING: the files of submodule" not in done.stdout, done.stdout
    done = copy.run("--committed", "none")
    assert done.returncode == 0 and "status:" not in done.stdout.replace("s/^/status:/", ""), done.stdout
    copy.git("submodule", "-q", "deinit", "-f", "sub")
    assert "submodule 'sub' are missing, so its directory is empty: 'git submodule update" in copy.run("normal").stdout


def test_shell(place: Site) -> None:
    """A person's shell in the container of a job: its sources and variables, on a terminal, and nothing of it counts."""
    copy = Copy(place, "shell")
    copy.write(gitlab_ci="a:\n  variables: {WORD: hi}\n  script: [echo never]\n  artifacts: {paths: [.]}\n", tracked="content\n")
    copy.commit()
    with Terminal(["env", "-i", *(f"{key}={value}" for key, value in copy.environment().items()), "TERM=vt100",
                   *copy.argv("--shell", "a")], rows=33, columns=111) as terminal:
        terminal.type("tty -s && echo on $TERM; stty size; echo $WORD-$CI_JOB_NAME; cat tracked; git diff-index --quiet HEAD && echo cl''ean\n")
        terminal.expect("on vt100")
        terminal.expect("33 111")
        terminal.expect("hi-a")
        terminal.expect("content")
        terminal.expect("clean")
        terminal.type("exit 5\n")
        assert terminal.wait() == 0, terminal.seen
    assert place.traces() == []


def test_cache_key_of_large_file(place: Site) -> None:
    """A file of `cache:key:files` may have any length."""
    copy = Copy(place, "large-key")
    copy.write(gitlab_ci="a: {cache: {key: {files: [lock]}, paths: [kept]}, script: [touch kept]}\n", lock="x" * (9 << 20))
    copy.commit()

    def key() -> str:
        return re.findall(r"Creating cache (\S+)\.\.\.", copy.run().stdout)[0]

    first = key()
    assert re.fullmatch("0-[0-9a-f]{16}", first) and key() == first
    copy.write(lock="x" * (9 << 20) + "y")
    assert key() not in (first, "0-default")


def test_options_file(place: Site) -> None:
    """The home's file says where artifacts go; the project's replaces the home's image."""
    copy = Copy(place, "options")
    copy.write(gitlab_ci="a: {script: [echo $WORD > file], artifacts: {paths: [file]}}\n",
               **{".nspawn-runner-exec.yaml": f"image-default: {IMAGE}\nvariables: {{WORD: hi}}\n"})
    (copy.home / ".nspawn-runner-exec.yaml").write_text("image-default: no-such-image\nartifacts: got\njobs: 2\n")
    copy.commit()
    done = copy.run()
    assert done.returncode == 0 and (copy.home / "got/a/file").read_text() == "hi\n", done
    (copy.top / ".nspawn-runner-exec.yaml").unlink()
    assert copy.run("--image-default", IMAGE).returncode == 0
    done = copy.run()
    assert done.returncode == 1 and re.search(r"^a +test +failed +\S+  There is no image 'no-such-image'$", done.stdout, re.MULTILINE), done
    # Long reasons are whole.
    done = copy.run("--image-default", "x-" * 100)
    assert done.returncode == 1 and re.search(r"^a +test +failed +\S+  Image name '[x-]{150,}' is longer than 128 bytes$", done.stdout,
                                              re.MULTILINE), done


def test_services(lab: Lab) -> None:
    """A job's services are there under their names, with variables of their own and the configuration's, and with no others; the
    container of each goes with the job."""
    site = Site(lab, {"default_image": IMAGE, "network": "none"})
    try:
        copy = Copy(site, "services")
        copy.write(gitlab_ci="stages: [build, test]\nb: {stage: build, script: ['echo LEFT=left > vars'], artifacts: {reports: {dotenv: vars}}}\n"
                             "a:\n  variables: {WORD: hi, OF_FILE: x}\n  services:\n    - name: debian\n      alias: web\n"
                             "      variables: {OWN: own-$WORD, HEALTHCHECK_TCP_PORT: '8000', NAMED: $GIVEN-$LEFT-$OF_FILE}\n"
                             "      command: [sh, -c, 'mkdir /w; env | sort > /w/env; echo served-$OWN > /w/index; cd /w; exec python3 -m http.server 8000']\n"
                             "  script:\n    - python3 -c 'import urllib.request as u; print(u.urlopen(\"http://web:8000/index\").read())'\n"
                             "    - python3 -c 'import urllib.request as u; print(u.urlopen(\"http://web:8000/env\").read().decode())'\n"
                             "    - echo got $GIVEN $LEFT $OF_FILE",
                   **{".gitlab-ci-local-variables.yml": "OF_FILE: of-file\n"})
        done = copy.run("--variable", "GIVEN=given")
        log = log_of("a", done.stdout)
        assert done.returncode == 0 and {"b'served-own-hi\\n'", "got given left of-file"} <= set(log), done
        assert {"WORD=hi", "NAMED=given-left-of-file", "CI_JOB_NAME=a", "GITLAB_CI=true", "GITLAB_USER_ID=1"} <= set(log), done
        private = ("GIVEN=", "LEFT=", "OF_FILE=", "CI_JOB_TOKEN=", "CI_REPOSITORY_URL=")
        assert not [line for line in log if line.startswith(private)], done
    finally:
        assert site.close() == []


def test_jobs_of_child_pipelines(lab: Lab, tmp_path: Path) -> None:
    """--jobs is for all pipelines of a run together; a child pipeline gets the slots that others leave."""
    for name in ("met", "running"):
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    site = Site(lab, {"default_image": IMAGE, "bind": [f"{tmp_path}:/srv"]})
    try:
        copy = Copy(site, "slots")
        copy.write(gitlab_ci="stages: [one, two]\nmeet: {stage: one, trigger: {include: meet.yml, strategy: depend}}\n"
                             + "".join(f"{name}: {{stage: two, trigger: {{include: count.yml, strategy: depend}}}}\n" for name in "xyz"),
                   **{"meet.yml": "".join(f"{name}: {{script: [touch /srv/met/{name}, 'until test -e /srv/met/{other}; do sleep 0.1; done']}}\n"
                                          for name, other in ("ab", "ba")),
                      "count.yml": "job:\n  parallel: 3\n  script:\n    - mkdir /srv/running/$CI_JOB_ID\n"
                                   "    - for i in $(seq 10); do ls /srv/running | wc -l; sleep 0.1; done\n"
                                   "    - rmdir /srv/running/$CI_JOB_ID\n"})
        copy.commit()
        done = copy.run("--jobs", "2")
        assert done.returncode == 0, done
        counts = [int(line.split()[-1]) for name in "xyz" for line in log_of(name, done.stdout) if re.fullmatch(r".*\| \d+", line)]
        assert len(counts) == 90 and max(counts) <= 2, done.stdout
    finally:
        assert site.close() == []


def screen(output: str) -> list[str]:
    """What a terminal would show: lines, of which the last ones were taken off and drawn again."""
    lines = [""]
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[^\x1b]", output):
        if up := re.fullmatch(r"\x1b\[(\d+)A", part):
            below = len(lines) - 1 - int(up[1])
            assert below >= 0, output
            lines[below + 1:] = [""] * int(up[1])
            lines[below] = ""
        elif part == "\x1b[J":
            while len(lines) > 1 and lines[-1] == "":
                del lines[-1]
            lines.append("")
        elif part == "\n":
            lines.append("")
        elif part not in "\r" and not part.startswith("\x1b"):
            lines[-1] += part
    return lines


def test_terminal(place: Site) -> None:
    """On a terminal: a live view that leaves nothing behind, folded stages; and a report that a browser can read."""
    copy = Copy(place, "terminal")
    copy.write(gitlab_ci="build:\n  stage: build\n  script:\n    - printf 'section_start:1:d[collapsed=true]\\r\\033[0KDeps\\nhidden\\nsection_end:2:d\\r\\033[0K\\n'\n"
                         "    - printf '\\033[2J\\033[31mred <b>\\n'\n"
                         "test:\n  needs: [build]\n  script:\n    - >-\n      echo '<testsuite><testcase name=\"t\"><failure message=\"no\"/>"
                         "</testcase></testsuite>' > r.xml\n    - echo bad\n    - exit 3\n  artifacts: {reports: {junit: r.xml}}\n"
                         "after: {stage: deploy, script: [echo never]}\n")
    copy.commit()
    own, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
    report = copy.base / "report.html"
    with subprocess.Popen(copy.argv("--report", str(report)), env={**copy.environment(), "TERM": "xterm"}, stdin=subprocess.DEVNULL,
                          stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(own, 65536):
                output += data
    os.close(own)
    text = output.decode()
    assert process.returncode == 1 and re.search(r"\x1b\[\dA\x1b\[J", text), text
    shown = screen(text)
    assert not [line for line in shown if re.match(r"\d+:\d\d  ", line)], shown
    assert [line for line in shown if re.fullmatch(r"build \| Getting source from Git repository \(\d.*\)", line)], shown
    assert [line for line in shown if re.fullmatch(r"build \| Deps \(\d.*\)", line)], shown
    assert "build | red <b>" in shown and "\x1b[31mred <b>\x1b[0m" in text and "\x1b[2J" not in text
    assert not [line for line in shown if "hidden" in line and "printf" not in line], shown
    assert [line for line in shown if re.fullmatch(r"test +test +failed +\S+  exit status 3", line)], shown
    assert [line for line in shown if re.fullmatch(r"after +deploy +skipped +-  'test' failed", line)], shown

    assert "Tests: 1, failed: 1, skipped: 0" in shown and "  t: no" in shown, shown

    assert report.stat().st_uid == USER
    page = report.read_text(encoding="utf-8")
    assert "hidden\n" in page and "red &lt;b&gt;" in page and "\x1b" not in page and "<b>\n" not in page
    browser = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert browser, "no chromium is installed: 'tools/install-deps check' installs it"
    dom = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={copy.base}/profile", "--dump-dom",
                          report.as_uri()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                         env={"HOME": str(copy.base)}).stdout.decode()
    assert dom.count('id="log-') == 3 and "<title>local/project: pipeline failed</title>" in dom


def test_artifacts_out(place: Site) -> None:
    """--artifacts: files of the user's, and no symlink that leads anywhere else, not even one that is there already."""
    copy = Copy(place, "out")
    copy.write(gitlab_ci="a/b:\n  script:\n    - mkdir -p out/real out/sub && echo x > out/sub/file && echo y > out/real/file\n"
                         "    - ln -s real out/inside && ln -s ../.. out/up && ln -s /etc out/etc\n    - touch $'out/\\xc3\\xa4'\n"
                         "  artifacts: {paths: [out]}\n")
    target, elsewhere = copy.home / "got", copy.base / "elsewhere"
    (target / "a-b/out").mkdir(parents=True)
    elsewhere.mkdir()
    (target / "a-b/out/sub").symlink_to(elsewhere)
    copy.own()
    done = copy.run("--artifacts", str(target))
    assert done.returncode == 0 and "symlinks that lead outside" in done.stdout, done
    out = target / "a-b/out"
    assert sorted(os.listdir(out)) == ["inside", "real", "sub", "\u00e4"], done
    assert (out / "inside/file").read_text() == "y\n" and not os.listdir(elsewhere)
    assert all(path.lstat().st_uid == USER for path in target.rglob("*"))


def test_too_large(place: Site) -> None:
    """Holes count: nothing is read of them, the job fails with the artifacts, not with the cache, and no file is left."""
    copy = Copy(place, "too-large")
    copy.write(gitlab_ci="default:\n  before_script: [truncate -s 10T a, mkdir -p b, truncate -s 600K b/c, truncate -s 600K b/d]\n"
                         "sparse: {script: ['true'], artifacts: {paths: [a]}}\n"
                         "together: {script: ['true'], artifacts: {paths: [b/c, b]}}\n"
                         "single: {script: ['true'], artifacts: {paths: [b/c, b/c]}}\n"
                         "kept: {script: ['true'], cache: {paths: [a]}}\n")
    done = copy.run("--archive-max", "1")
    assert done.returncode == 1, done
    for job in ("sparse", "together", "kept"):
        assert any("the files are too large: together more than 1.0M" in line for line in log_of(job, done.stdout)), done
    for job in ("sparse", "together"):
        assert "Job failed: the artifacts are too large" in log_of(job, done.stdout), done
    for job in ("single", "kept"):
        assert re.search(f"^{job} +test +passed ", done.stdout, re.MULTILINE), done
    (store,) = copy.home.glob(".local/state/nspawn-runner/exec/*")
    assert [len(os.listdir(store / name)) for name in ("caches", "artifacts", "runs")] == [0, 1, 0], done


def wait_for(process: subprocess.Popen, text: str) -> str:
    """Its output, up to a line that contains the text."""
    seen = ""
    assert process.stdout
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"'{text}' did not come\n{seen}")


def children_of_user(pid: int) -> list[int]:
    """Those without rights, that have not ended."""
    children = map(int, host.read(f"/proc/{pid}/task/{pid}/children").split())
    return [child for child in children if not host.is_ending(child) and os.stat(f"/proc/{child}").st_uid == USER]


def open_gate(place: Site, copy: Copy) -> None:
    """For the script of its only job, which waits for that."""
    (job,) = place.jobs()
    done = subprocess.run(place.argv("shell", job), input="touch /gate\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, (copy.top, done)


GATE = "until test -e /gate; do sleep 0.05; done"


def test_two_runs(place: Site) -> None:
    """Two runs of a working copy at the same time: each job gets what an earlier one left in its own run. A job that is no
    part of the run gets what there was last."""
    copy = Copy(place, "two-runs")
    copy.write(gitlab_ci=f"""
build: {{stage: build, variables: {{WHO: one}}, script: [echo made by $WHO > file, echo BY=$WHO > env],
        artifacts: {{paths: [file], reports: {{dotenv: env}}}}}}
wait: {{stage: test, dependencies: [], script: [echo ready, {GATE}]}}
last: {{stage: deploy, needs: [build, wait], script: [cat file, echo known by $BY]}}
""")
    with subprocess.Popen(copy.argv(), env=copy.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        seen = wait_for(process, "wait  | ready")
        (first,) = place.jobs()
        other = subprocess.run(copy.argv("build", "--variable", "WHO=two"), env=copy.environment(), capture_output=True,
                               text=True, check=False)
        assert other.returncode == 0 and place.jobs() == [first], other
        open_gate(place, copy)
        seen += process.communicate()[0]
    assert process.returncode == 0, seen
    assert "made by one" in log_of("last", seen) and "known by one" in log_of("last", seen), seen

    assert copy.run("build", "--variable", "WHO=three").returncode == 0
    done = copy.run("last")
    assert done.returncode == 0 and "made by three" in log_of("last", done.stdout), done
    assert "known by three" in log_of("last", done.stdout), done
    (runs,) = copy.home.glob(".local/state/nspawn-runner/exec/*/runs")
    assert not os.listdir(runs)


if STRACE:
    @pytest.mark.parametrize("what", ("cache", "artifacts"))
    def test_saver_killed(place: Site, tmp_path: Path, what: str) -> None:
        """SIGKILL to the process of a job that is about to give an archive its name: no half of one stays."""
        copy = Copy(place, f"saver-{what}")
        copy.write(gitlab_ci=f"a: {{{what}: {{paths: [file]}}, script: [echo x > file, echo ready, {GATE}]}}\n")
        with subprocess.Popen(copy.argv(), env=copy.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as process:
            seen = wait_for(process, "a | ready")
            (loop,) = children_of_user(process.pid)
            (worker,) = children_of_user(loop)
            log = tmp_path / "log"
            with subprocess.Popen([STRACE, "-q", "-o", log, "-e", "inject=rename,renameat,renameat2:signal=KILL", "-p",
                                   str(worker)]) as tracer:
                wait_until(lambda: f"TracerPid:\t{tracer.pid}" in host.read(f"/proc/{worker}/status"))
                open_gate(place, copy)
                seen += process.communicate()[0]
            assert process.returncode == 1 and "killed by SIGKILL" in log.read_text(), seen
        (store,) = copy.home.glob(".local/state/nspawn-runner/exec/*")
        assert [os.listdir(store / name) for name in ("caches", "artifacts")] == [[], []], seen
        assert not os.listdir(store / "runs"), seen
        wait_until(lambda: not place.traces())


SLOW = "a:\n  script:\n    - echo ready\n    - sleep 1000\n  after_script:\n    - echo after $CI_JOB_STATUS\n    - $AFTER\nb:\n" \
       "  stage: deploy\n  script: [echo never]\n"


@pytest.mark.parametrize("times", (1, 2))
def test_cancel(place: Site, times: int) -> None:
    """The first Ctrl-C ends the script, the second one everything; 130 and nothing left in both cases."""
    copy = Copy(place, f"cancel-{times}")
    copy.write(gitlab_ci=SLOW)
    with subprocess.Popen(copy.argv("--variable", f"AFTER={'true' if times == 1 else 'sleep 1000'}"), env=copy.environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        wait_for(process, "a | ready")
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            seen = wait_for(process, "Ctrl-C again" if _ == 0 else "all ends at once")
            seen += wait_for(process, "a | after canceled" if _ == 0 else "a | Job failed: cancelled")
        seen += process.communicate()[0]
    assert process.returncode == 130 and "never" not in seen, seen
    assert place.traces() == []


@pytest.mark.parametrize("cancelled", (False, True))
def test_sources_meanwhile(place: Site, cancelled: bool) -> None:
    """The container is prepared while sources are made. Ctrl-C ends both."""
    copy = Copy(place, f"meanwhile-{cancelled}")
    copy.write(gitlab_ci="a: {script: [cat file.slow]}\n", **{"file.slow": "content\n", ".gitattributes": "*.slow filter=slow\n"})
    copy.commit()
    gate = copy.home / "gate"
    wait = f"until test -e {gate}; do sleep 0.05; done && cat"
    (copy.home / ".gitconfig").write_text(f"[filter \"slow\"]\n\tclean = \"{wait}\"\n")
    # git has to look at it, with the user's filter: twice, if its index is from the same second.
    os.utime(copy.top / "file.slow")
    copy.own()

    def filters() -> list[str]:
        return [command for command in host.processes().values() if f"test -e {gate}" in command]

    with subprocess.Popen(copy.argv(), env=copy.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:
        seen = wait_for(process, "a | Putting the files in place")
        wait_until(filters)
        if cancelled:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        else:
            gate.touch()
        seen += process.communicate()[0]
    assert process.returncode == (130 if cancelled else 0), seen
    assert ("content" in log_of("a", seen)) != cancelled and "ERROR" not in seen, seen
    wait_until(lambda: not filters())
    assert place.traces() == []


def test_sources_of_two_kinds(place: Site) -> None:
    """Two at a time, each with its own commits: neither removes what the other one reads."""
    copy = Copy(place, "kinds")
    count = "git log --oneline | wc -l; git fsck"
    copy.write(gitlab_ci=f"a: {{script: ['{count}']}}\nb: {{variables: {{GIT_DEPTH: 1}}, script: ['{count}']}}\n"
                         f"c: {{variables: {{GIT_DEPTH: 0}}, script: ['{count}']}}\n")
    copy.commit()
    for text in ("Second", "Third"):
        copy.git("commit", "-q", "--allow-empty", "-m", text)
    for _ in range(3):
        done = copy.run("--jobs", "3")
        assert done.returncode == 0, done
        assert [log_of(job, done.stdout).count(n) for job, n in (("a", "3"), ("b", "1"), ("c", "3"))] == [1, 1, 1], done


def refs_of(copy: Copy, *options: str) -> dict[str, list[str]]:
    """What the jobs of test_refs see."""
    done = copy.run("--jobs", "3", *options)
    assert done.returncode == 0, done
    return {job: sorted(line for line in log_of(job, done.stdout) if re.match(r"\w+=", line)) for job in ("all", "some", "one")}


def test_refs(place: Site) -> None:
    """Without a depth, the branches and tags that are known of the server; with one, the tags of its commits."""
    copy = Copy(place, "refs")
    script = f"['git for-each-ref --format=\"ref=%(refname)\"', 'echo tag=$(git describe --tags)', 'echo diff=$(git diff --name-only origin/main...HEAD)', git fsck]"
    copy.write(gitlab_ci=f"all: {{variables: {{GIT_DEPTH: 0}}, script: {script}}}\nsome: {{variables: {{GIT_DEPTH: 2}}, script: {script}}}\n"
                         f"one: {{variables: {{GIT_DEPTH: 1}}, script: {script}}}\n")
    copy.commit()
    copy.git("tag", "-a", "-m", "First", "v1")
    copy.git("checkout", "-q", "-b", "topic")
    copy.write(new="x\n")
    copy.git("add", "-A")
    copy.git("commit", "-q", "-m", "Second")
    # Without a server, the branches at hand stand for its own.
    found = refs_of(copy)
    assert found["all"] == ["diff=new", "ref=refs/remotes/origin/main", "ref=refs/remotes/origin/topic", "ref=refs/tags/v1",
                            found["all"][-1]] and found["all"][-1].startswith("tag=v1-1-g"), found
    assert found["some"] == ["diff=", "ref=refs/remotes/origin/topic", "ref=refs/tags/v1", found["all"][-1]], found
    assert found["one"] == ["diff=", "ref=refs/remotes/origin/topic", "tag="], found
    # With one, those that were fetched from it; tags are seen at once.
    copy.git("remote", "add", "origin", "https://gitlab.example.com/group/project.git")
    for name in ("main", "theirs"):
        copy.git("update-ref", f"refs/remotes/origin/{name}", "main")
    copy.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    copy.git("tag", "-a", "-m", "Second", "v2")
    found = refs_of(copy)
    assert found["all"] == ["diff=new", "ref=refs/remotes/origin/main", "ref=refs/remotes/origin/theirs", "ref=refs/remotes/origin/topic",
                            "ref=refs/tags/v1", "ref=refs/tags/v2", "tag=v2"], found
    assert found["one"] == ["diff=", "ref=refs/remotes/origin/topic", "ref=refs/tags/v2", "tag=v2"], found
    # The tag that the pipeline is for stays one with a message, and is where the pipeline is.
    found = refs_of(copy, "--source", "tag")
    assert found["one"] == ["diff=", "ref=refs/tags/v2", "tag=v2"], found
    assert refs_of(copy, "--source", "tag", "--ref", "v3")["one"] == ["diff=", "ref=refs/tags/v2", "ref=refs/tags/v3", "tag=v2"]


def test_merge_request(place: Site) -> None:
    """What a merge request changes: the commit where it began is there, also where the depth does not reach it."""
    copy = Copy(place, "merge-request")
    changed = 'git diff --name-only "$CI_MERGE_REQUEST_DIFF_BASE_SHA'
    copy.write(gitlab_ci=f"a: {{script: ['{changed}...HEAD\"', 'git fsck'], rules: [{{when: always}}]}}\n"
                         f"b: {{variables: {{GIT_DEPTH: 1}}, script: ['{changed}\" HEAD', 'git log --format=one:%s'], rules: [{{when: always}}]}}\n")
    copy.commit()
    copy.git("checkout", "-q", "-b", "topic")
    for name in ("second", "third", "fourth"):
        copy.write(**{name: "new\n"})
        copy.git("add", "-A")
        copy.git("commit", "-q", "-m", name)
    copy.git("checkout", "-q", "main")
    copy.git("commit", "-q", "--allow-empty", "-m", "Elsewhere")
    copy.git("checkout", "-q", "topic")
    for _ in range(2):
        done = copy.run("--source", "merge_request_event", "--jobs", "2")
        assert done.returncode == 0, done
        for job in ("a", "b"):
            assert [line for line in log_of(job, done.stdout) if line in ("second", "third", "fourth")] == ["fourth", "second", "third"], done.stdout
        assert [line for line in log_of("b", done.stdout) if line.startswith("one:")] == ["one:fourth"], done.stdout
    # What a push has compared with is not there.
    done = copy.run("b")
    assert done.returncode == 1, done


def test_clone_path(place: Site) -> None:
    """GIT_CLONE_PATH says where the project is, anywhere below CI_BUILDS_DIR and nowhere else."""
    copy = Copy(place, "clone-path")
    jobs = {"path": "$CI_BUILDS_DIR/$CI_CONCURRENT_ID//x/../go/./src/", "top": "$CI_BUILDS_DIR", "above": "$CI_BUILDS_DIR/../go",
            "beside": "${CI_BUILDS_DIR}2", "relative": "go", "dots": "$CI_BUILDS_DIR/..go"}
    copy.write(gitlab_ci="default: {artifacts: {paths: [made]}}\n" + "".join(
        f"{job}: {{stage: build, variables: {{GIT_CLONE_PATH: '{path}'}}, script: ['echo in $PWD $CI_PROJECT_DIR', cat tracked, touch made]}}\n"
        for job, path in jobs.items()) + "next: {needs: [path], script: [test -e made, 'echo in $PWD $CI_PROJECT_DIR']}\n", tracked="content\n")
    copy.commit()
    done = copy.run("--jobs", "4", *jobs)
    for job, path in (("path", "/builds/0/go/src"), ("top", "/builds")):
        assert {f"in {path} {path}", "content"} <= set(log_of(job, done.stdout)), done
    for job in ("above", "beside", "relative", "dots"):
        assert any("Job failed: GIT_CLONE_PATH is '" in line for line in log_of(job, done.stdout)), done
    done = copy.run("next")
    assert done.returncode == 0 and "in /builds/local/project /builds/local/project" in log_of("next", done.stdout), done


def test_broken_repository(place: Site) -> None:
    """A commit that git cannot copy ends the pipeline, and is copied again the next time."""
    copy = Copy(place, "broken")
    copy.write(gitlab_ci="a: {script: [git fsck]}\n", file="content\n")
    copy.commit()
    name = copy.git("rev-parse", "HEAD:file").strip()
    blob = copy.top / ".git/objects" / name[:2] / name[2:]
    blob.rename(copy.base / "blob")
    done = copy.run()
    assert done.returncode == 1 and "Cannot copy the commit that is checked out" in done.stderr, done
    (copy.base / "blob").rename(blob)
    done = copy.run()
    assert done.returncode == 0, done
    (kept,) = copy.home.glob(".local/state/nspawn-runner/exec/*/sources/*")
    assert not kept.name.startswith("new"), kept


def test_killed(place: Site) -> None:
    """SIGKILL to all of it: the container ends by itself, and the next call removes the rest. Only what is kept stays."""
    copy = Copy(place, "killed")
    bad = "bad: {stage: .pre, variables: {WORD: hi}, allow_failure: true, script: ['exit 3']}\n"
    copy.write(gitlab_ci=bad + SLOW)
    with subprocess.Popen(copy.argv("--keep-failed"), env=copy.environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        seen = wait_for(process, "a   | ready")
        process.kill()
        process.communicate()
    (kept,) = re.findall(r"nspawn-runner cleanup --now --id (\S+)' ends it", seen)
    wait_until(lambda: place.call("gc").returncode == 0 and len(place.jobs()) == 1 and
               not any("empty-trash" in line for line in place.traces()))
    assert place.jobs() == [kept] and place.container_pids()

    copy.write(gitlab_ci=bad + "last: {script: [exit 4]}\n")
    done = subprocess.run(copy.argv("--keep-failed"), env=copy.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not os.listdir(place.runtime_dir / "exec"), done
    shown = dict(re.findall(r"^  (\w+) +sudo nspawn-runner (--config=\S+ shell \S+)$", done.stdout, re.MULTILINE))
    assert list(shown) == ["bad", "last"] and kept in place.jobs() and len(place.jobs()) == 3, done
    inside = subprocess.run([place.argv()[0], *shown["bad"].split()], input="echo $WORD-$CI_JOB_NAME; pwd\n",
                            capture_output=True, text=True, check=False)
    assert inside.stdout.startswith("hi-bad\n/"), inside
    for job in place.jobs():
        assert place.call("cleanup", "--now", "--id", job).returncode == 0
    wait_until(lambda: not place.traces())
    copy.write(gitlab_ci="a: {script: [echo fine]}\n")
    assert copy.run("--keep-failed").returncode == 0


def test_killed_before_it_knew(place: Site) -> None:
    """A job is kept, but its broker was killed before it took note of that: the next call leaves it alone, too."""
    copy = Copy(place, "unknown")
    copy.write(gitlab_ci="bad: {script: [echo ready, " + GATE + ", exit 3]}\n")
    with subprocess.Popen(copy.argv("--keep-failed"), env=copy.environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        wait_for(process, "bad | ready")
        (job,) = place.jobs()
        (response,) = (place.runtime_dir / "exec").glob("*/response.json")
        text = response.read_bytes()
        open_gate(place, copy)
        seen = process.communicate()[0]
    assert process.returncode == 1 and "ends it" in seen, seen
    response.parent.mkdir()
    response.write_bytes(text)

    copy.write(gitlab_ci="a: {script: [echo fine]}\n")
    done = subprocess.run(copy.argv(), env=copy.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not os.listdir(place.runtime_dir / "exec"), done
    assert place.jobs() == [job] and place.container_pids(), done
    assert place.call("cleanup", "--now", "--id", job).returncode == 0
    wait_until(lambda: not place.traces())


def test_nobody_reads(place: Site) -> None:
    """`exec | head -1`: the jobs end, and the message says why. And a home that cannot be written."""
    copy = Copy(place, "pipe")
    copy.write(gitlab_ci="a: {script: [while echo line; do sleep 0.1; done]}\n")
    with subprocess.Popen(copy.argv(), env=copy.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert "Nobody reads the output any more" in process.stderr.read()
    assert process.returncode == 1 and place.traces() == []
    done = subprocess.run(copy.argv(), env={**copy.environment(), "HOME": "/proc/none"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "caches and artifacts below $HOME, '/proc/none'" in done.stderr, done


def test_caller_without_sudo(place: Site) -> None:
    """Whoever is not root is told so, and may look."""
    copy = Copy(place, "user")
    copy.write(gitlab_ci="a: {script: [echo fine]}\n")
    for options, status, text in (((), 1, "Only root can start containers"), (("--dry-run",), 0, "1 a\n")):
        done = subprocess.run(copy.argv(*options), env={**copy.environment(), "SUDO_UID": "0"}, user=USER, group=USER,
                              extra_groups=[], capture_output=True, text=True, check=False)
        assert done.returncode == status and text in done.stdout + done.stderr, done
