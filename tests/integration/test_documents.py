# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents tell readers to do, done: each block of an example runs here as it stands, or is listed below with
the reason why not. A new block is in neither list at first, and fails the first test. docs/recipes.md has a test of its
own, which runs and counts all of its blocks.

The places that the examples name are moved into a directory of the test's own, and the Debian release that they make is a
copy of the tests' image, with its mirror."""

import os
import re
import subprocess
import tomllib
from typing import Any, Callable, Iterator

import pytest

import host
from documents import all_blocks
from lab import Done, Lab, Site
from maintenance import generations
from simulation.jobspec import Job

BLOCKS = {key: text for key, text in all_blocks().items() if not key.startswith("docs/recipes.md: ")}
RUN: dict[str, str] = {}
EXEC = "tests/unit/test-exec.py runs it, in a working copy"
EXEC_RUN = "test_exec_run.py runs the jobs of a working copy"
REGISTRY = "there is no such registry; test_push.py has one"
METRICS = "it needs an installed program; test_report.py has what it calls"
NOT_RUN = {
    "README.md: sudo tools/quickstart": "part 'quickstart' of tools/run-tests is this",
    "README.md: sudo tools/run-tests": "it runs these tests",
    "README.md: sudo tools/install-deps run build":
        "it installs on the host; tools/quickstart builds in the same way",
    "README.md: sudo tools/install-deps build package":
        "it installs on the host; parts 'package-12' and 'package-13' of tools/run-tests make and install the package",
    "README.md: sudo nspawn-runner setup bookworm --suite bookworm --url https://gitlab.example.com/":
        "it asks on the terminal; test_setup.py answers",
    "README.md: sudo gitlab-runner verify": "it needs a GitLab server",
    "README.md: sudo systemctl enable --now nspawn-runner-maintenance.timer":
        "it needs an installed program; test_maintenance_units.py has the timer",
    "CONTRIBUTING.md: sudo tools/install-deps run build test check": "part 'unit' of tools/run-tests is this",
    "CONTRIBUTING.md: tools/run-tests --list": "it runs tests",
    "docs/architecture.md: GitLab Runner ──> nspawn-runner gitlab-config | prepare | run SCRIPT STAGE | cleanup":
        "it is a picture",
    "docs/architecture.md: exec (the broker, root) ──> stages of this driver: gitlab-config, prepare, run, exec-step, cleanup":
        "it is a picture",
    "docs/operations.md: skopeo login --authfile /root/.config/containers/auth.json registry.example.com": REGISTRY,
    "docs/operations.md: - hosts: all": REGISTRY,
    "docs/architecture.md: job's namespace            hub's namespace                       host": "it is a picture",
    "man/nspawn-runner.yaml.5.scd: egress: ['allow 10.1.2.3 tcp 80,443', 'deny 10.0.0.0/8', 'deny any tcp 25']":
        "test_network.py has such rules",
    "README.md: nspawn-runner exec --list --all": EXEC,
    "README.md: sudo nspawn-runner exec": EXEC_RUN,
    "docs/exec.md: sudo nspawn-runner exec": EXEC_RUN,
    "man/nspawn-runner-exec.1.scd: sudo nspawn-runner exec --jobs 4": EXEC_RUN,
    "man/nspawn-runner-exec.1.scd: sudo nspawn-runner exec --needs test": EXEC_RUN,
    "docs/exec.md: nspawn-runner exec --list | nspawn-runner exec --list --all --json": EXEC,
    "docs/exec.md: nspawn-runner exec --list --fetch": EXEC,
    "man/nspawn-runner-exec.1.scd: # ~/.nspawn-runner-exec.yaml": "tests/unit/test-exec.py gives it to exec",
    "man/nspawn-runner-exec.1.scd: nspawn-runner exec --list --all": EXEC,
    "man/nspawn-runner-exec.1.scd: nspawn-runner exec --explain deploy --source merge_request_event": EXEC,
    "man/nspawn-runner-exec.1.scd: nspawn-runner exec --list --source tag --ref v1.0 --include-root "
    "gitlab.example.com/ci/lint=../lint": EXEC,
    "docs/operations.md: # /etc/nspawn-runner.yaml":
        "it needs the directory of Prometheus' node exporter; test_report.py has another one",
    "docs/operations.md: systemctl status nspawn-runner-job-ID":
        "ID stands for a job's; test_supervisor.py looks at its unit",
    "docs/operations.md: systemctl status machine-nspawn_runner_job_ID.slice":
        "ID stands for a job's; test_supervisor.py looks at its slice",
    "docs/operations.md: systemctl enable --now nspawn-runner-maintenance.timer":
        "it needs an installed program; test_maintenance_units.py has the timer",
    "docs/operations.md: systemctl enable --now nspawn-runner-metrics.socket": METRICS,
    "man/nspawn-runner.1.scd: systemctl enable --now nspawn-runner-metrics.socket": METRICS,
    "docs/operations.md: # /etc/systemd/system/docker.service.d/nspawn-runner.conf": "it needs Docker",
    "docs/operations.md: # /etc/systemd/system/nspawn-runner-textfile.service": METRICS,
    "docs/operations.md: # Failures of the runner, not of jobs": "Prometheus reads them; test_report.py has these metrics",
    "docs/operations.md: [Service]": "test_maintenance_units.py starts the service",
    "docs/operations.md: 30 3 * * *  root  /usr/bin/nspawn-runner chroot-maintenance":
        "a line of cron's; chroot-maintenance runs below",
    "man/nspawn-runner-image.5.scd: - vars: | nspawn_runner_create_command: >": "Debian has no dnf with a repository",
    "man/nspawn-runner-image.5.scd: - vars: | nspawn_runner_oci: registry.example/group/name:tag":
        "there is no such registry; test_maintenance_sources.py has one",
    "man/nspawn-runner.1.scd: systemctl enable --now nspawn-runner-maintenance.timer":
        "it needs an installed program; test_maintenance_units.py has the timer",
}

# Stands in for mmdebstrap, which takes a minute: the tests' image was made by it.
MMDEBSTRAP = """\
#!/bin/sh -e
for argument; do case $argument in /*) target=$argument;; esac; done
echo "$@" >>{log}
cp -a --reflink=auto {image}/. "$target"
"""
# The paths of a release's PostgreSQL are in some examples.
POSTGRESQL = {"bookworm": "15", "trixie": "17"}


def runs(*keys: str) -> Callable[[Any], Any]:
    """The test gets the text of these blocks, as a list."""
    def decorate(function: Any) -> Any:
        for key in keys:
            RUN[key] = function.__name__
        return pytest.mark.parametrize("texts", [[BLOCKS[key] for key in keys]], ids=["blocks"])(function)
    return decorate


def test_every_block_is_run() -> None:
    """Or has a reason not to be."""
    assert BLOCKS.keys() - RUN.keys() - NOT_RUN.keys() == set(), "new"
    assert RUN.keys() | NOT_RUN.keys() <= BLOCKS.keys() and not RUN.keys() & NOT_RUN.keys()
    assert all(NOT_RUN.values())


def job_of(text: str) -> Job:
    """The job of a .gitlab-ci.yml with one, whose commands are plain lines of a list, without services of registries."""
    image = re.search(r"^  image: (\S+)", text, re.MULTILINE)
    lists = dict(re.findall(r"^  (script|after_script|services):\n((?:    .*\n)+)", text, re.MULTILINE))
    assert image and "script" in lists, text
    commands = {name: re.findall(r"^    - (.*)$", lines, re.MULTILINE) for name, lines in lists.items()}
    services = [{"name": name, "alias": "", "entrypoint": None, "command": None}
                for name in commands.get("services", []) if ":" not in name]
    return Job(commands["script"], commands.get("after_script", []), image=image[1], services=services)


class Reader:
    """Somebody who does what the documents say, as root and from a directory with definitions."""

    def __init__(self, lab: Lab, site: Site):
        self.site, self.directory = site, site.directory / "reader"
        release = host.read(str(lab.image() / "etc/os-release"))
        codename = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
        assert codename, release
        self.postgresql = POSTGRESQL[codename[1]]
        programs = {"sudo": 'exec "$@"', "nspawn-runner": f'exec {lab.driver} --config {site.config} "$@"'}
        (self.directory / "bin").mkdir(parents=True)
        (self.directory / "gitlab-runner").mkdir()
        for name, text in programs.items():
            (self.directory / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.directory / "bin/mmdebstrap").write_text(MMDEBSTRAP.format(image=lab.image(),
                                                                             log=self.directory / "arguments"))
        for path in (self.directory / "bin").iterdir():
            path.chmod(0o755)
        self.run(BLOCKS["README.md: sudo nspawn-runner chroot-create bookworm --suite bookworm"])

    def moved(self, text: str) -> str:
        """With the places that are ours here."""
        for place, ours in (("/etc/nspawn-runner/", f"{self.site.definitions}/"),
                            ("/etc/nspawn-runner\n", f"{self.site.definitions}\n"),
                            ("/etc/gitlab-runner/", f"{self.directory}/gitlab-runner/"),
                            ("/tmp/script", f"{self.directory}/script"),
                            ("/15/", f"/{self.postgresql}/"), ("@15-", f"@{self.postgresql}-")):
            text = text.replace(place, ours)
        return text

    def run(self, text: str, stdin: str = "") -> Done:
        """Runs a block of a shell, which must succeed."""
        path = f"{self.directory}/bin:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", self.moved(text)], cwd=self.directory, text=True,
                              env={"PATH": path, "LANG": "C.UTF-8"}, input=stdin, capture_output=True, check=False)
        result = Done(text, done.returncode, done.stdout, done.stderr)
        assert done.returncode == 0, str(result)
        return result

    def put(self, image: str, text: str) -> None:
        """Puts a definition into this directory, from where one of the blocks copies all to where they belong."""
        (self.directory / f"{image}.yaml").write_text(self.moved(text))


@pytest.fixture(name="reader", scope="module")
def fixture_reader(lab: Lab) -> Iterator[Reader]:
    """With image bookworm, on a file system that copies at once."""
    with lab.file_system("xfs", "documents", "4G") as where:
        site = Site(lab, {"boot": "auto"}, where)
        reader = Reader(lab, site)
        yield reader
        left = site.close()
        assert not left, left


@runs("README.md: sudo nspawn-runner chroot-create bookworm --suite bookworm",
      "man/nspawn-runner.1.scd: nspawn-runner chroot-create bookworm --suite bookworm",
      "README.md: sudo nspawn-runner toml bookworm | sudo tee -a /etc/gitlab-runner/config.toml",
      "README.md: sudo nspawn-runner doctor")
def test_set_up(reader: Reader, texts: list[str]) -> None:
    """An image, whether this host can run jobs, and the section for GitLab Runner."""
    create, first_steps, toml, doctor = texts
    for text in (create, first_steps):
        reader.run("sudo nspawn-runner chroot-remove --yes bookworm")
        done = reader.run(text)
        assert (reader.site.root / "bookworm/usr/bin/git").exists(), str(done)
    reader.run(toml)
    config = tomllib.loads((reader.directory / "gitlab-runner/config.toml").read_text())
    assert config["runners"][0]["executor"] == "custom"
    assert "ok" in reader.run(doctor).stdout


@runs("README.md: sudo nspawn-runner chroot-login bookworm",
      "man/nspawn-runner.1.scd: nspawn-runner chroot-login bookworm")
def test_login(reader: Reader, texts: list[str]) -> None:
    """What is typed there changes the image."""
    for number, text in enumerate(texts):
        reader.run(text, f"echo {number} >/changed\n")
        assert (reader.site.root / "bookworm/changed").read_text() == f"{number}\n"


@runs("README.md: echo 'id; systemctl list-units' >/tmp/script",
      "man/nspawn-runner.1.scd: echo 'id; hostname' >/tmp/script")
def test_job_by_hand(reader: Reader, texts: list[str]) -> None:
    """Each stage."""
    assert "nspawn-runner-agent" in reader.run(texts[0]).stdout
    assert "uid=0(root)" in reader.run(texts[1]).stdout


@runs("README.md: # /etc/nspawn-runner.yaml | pull: if-not-present            # or always, or [always, if-not-present]",
      "README.md: # /etc/nspawn-runner.yaml | # Image of jobs that name none, what others may name, and what "
      "they may name as services.",
      "man/nspawn-runner.yaml.5.scd: default_image: bookworm")
def test_configuration(reader: Reader, texts: list[str]) -> None:
    """A job runs with each, and finds what the one before left."""
    before = reader.site.config.read_text()
    try:
        for text in texts:
            reader.site.config.write_text(before + text)
            result = reader.site.run(Job(["ls /cache", "touch /cache/seen"], image="bookworm"))
            assert result.state == "success", result.log
    finally:
        reader.site.config.write_text(before)
    assert "\nseen" in result.log.replace("\r", ""), result.log


@runs("README.md: # /etc/nspawn-runner/postgres.yaml",
      "README.md: # /etc/nspawn-runner/bookworm.yaml",
      "README.md: sudo install -d /etc/nspawn-runner",
      "man/nspawn-runner-image.5.scd: - hosts: all | vars: | nspawn_runner_chroot_suite: bookworm",
      "README.md: sudo nspawn-runner chroot-list                  # generations, where they come from, how many jobs "
      "use them",
      "README.md: query:",
      "README.md: test:",
      "man/nspawn-runner-image.5.scd: - hosts: all | vars: | nspawn_runner_from: bookworm")
def test_definitions(reader: Reader, texts: list[str]) -> None:
    """Images from definitions, with a database from the mirror; their generations; and the jobs that use one."""
    postgres, bookworm, maintain, ccache, look, query, job, database = texts
    site = reader.site
    reader.put("bookworm", bookworm)
    reader.put("postgres", postgres)
    reader.put("compiler", ccache)
    done = reader.run(maintain)
    assert re.search(r"bookworm +(updated|unchanged)", done.stdout), str(done)
    settings = site.root / "postgres/etc/postgresql" / reader.postgresql / "main/conf.d"
    assert "fsync" in "".join(path.read_text() for path in settings.iterdir())
    # Packages are for mmdebstrap to fetch.
    assert "python3,build-essential" in (reader.directory / "arguments").read_text()
    assert generations(site)["compiler"]["source"] == "suite bookworm"

    reader.run("sudo nspawn-runner chroot-login --publish postgres", "touch /changed\n")
    assert "PostgreSQL" in reader.run(look).stdout
    assert generations(site)["postgres"]["generation"] == 1

    # Each service has an address of its own.
    before = site.config.read_text()
    site.config.write_text(re.sub(r"^network: .*$", "network: private", before, flags=re.MULTILINE))
    result = site.run(job_of(query))
    assert result.state == "success" and "properly" not in result.log and "(1 row)" in result.log, result.log
    site.config.write_text(before)

    # Where it is installed already, nothing has to be fetched.
    reader.run("sudo nspawn-runner chroot-remove --yes bookworm")
    (site.root / "postgres").rename(site.root / "bookworm")
    result = site.run(job_of(reader.moved(job)))
    assert result.state == "success" and "PostgreSQL" in result.log, result.log
    assert "Started" in result.log.partition("journalctl")[2], result.log

    reader.put("database", database)
    reader.run("sudo cp database.yaml /etc/nspawn-runner/; sudo nspawn-runner chroot-create database")
    assert generations(site)["database"]["source"] == "from bookworm"
