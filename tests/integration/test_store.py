# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and working copies that outlive jobs: who gets which, what an attacker can do there, and what makes room."""

import json
import os
import shutil
import stat
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest

import host
import ociimage
import pace
from coordinator import Coordinator
from lab import IMAGE, Done, Lab, Site
from pace import wait_until
from repository import Repository
from simulation.build import Build
from simulation.jobspec import Job, Variable

PROGRAM = Path(__file__).parent.parent / "simulation" / "cacheprogram.py"
PROTECTED = {"protected": True}
FRESH = "Initialized empty Git repository"


@pytest.fixture(name="store")
def store_fixture(make_site, tiny_root: Path) -> Site:
    """A site with an image root of its own, so that nobody else's caches are there."""
    return make_site(root=tiny_root)


def places(site: Site, kind: str) -> list[Path]:
    """The directories of that kind."""
    directory = site.root / {"cache": ".caches", "builds": ".builds"}[kind]
    return sorted(directory.iterdir()) if directory.is_dir() else []


def listed(site: Site) -> list[dict[str, Any]]:
    """What `cache list --json` says."""
    done = site.call("cache", "list", "--json")
    assert done.returncode == 0, str(done)
    return json.loads(done.stdout)["caches"]


def succeeds(site: Site, job: Job) -> str:
    """The log of a job that succeeds."""
    result = site.run(job)
    assert result.state == "success", str(result)
    return result.log


def test_who_gets_which_cache(store: Site) -> None:
    """The project and the protection of the ref decide, and no variable of the job."""
    forged = [Variable("CI_PROJECT_ID", "1"), Variable("CI_COMMIT_REF_PROTECTED", "true"),
              Variable("CI_SERVER_URL", "http://gitlab.invalid")]
    assert "none" in succeeds(store, Job(["ls /cache/* || echo none", "echo first > /cache/file"]))
    seen = ["cat /cache/file 2>/dev/null || echo none"]
    assert "first" in succeeds(store, Job(seen, variables=[Variable("CI_PROJECT_ID", "2")]))
    for other in (Job(seen, project=2, variables=forged), Job(seen, git=PROTECTED, variables=forged),
                  Job(seen, server="http://other.invalid", variables=forged)):
        log = succeeds(store, other)
        assert "\nnone" in log.replace("\r", "") and "\nfirst" not in log, log
    succeeds(store, Job(["echo safe > /cache/file"], git=PROTECTED))
    assert "first" in succeeds(store, Job(seen, git={"protected": False}))
    assert "safe" in succeeds(store, Job(seen, git=PROTECTED))
    # all of it is root's, and nobody else can look at it
    assert [stat.S_IMODE(path.stat().st_mode) for path in places(store, "cache")] == [0o700] * 4
    assert stat.S_IMODE((store.root / ".caches").stat().st_mode) == 0o700
    found = {(row["project"], row["id"], row["ref"], row["state"]) for row in listed(store)}
    assert found == {("gitlab.invalid/group/project", 1, "other", "free"),
                     ("gitlab.invalid/group/project", 1, "protected", "free"),
                     ("gitlab.invalid/group/project", 2, "other", "free"),
                     ("other.invalid/group/project", 1, "other", "free")}


def test_settings(store: Site, tmp_path: Path) -> None:
    """shared, none, what an image's definition says, and directories that bind gives."""
    succeeds(store, Job(["echo mine > /cache/file"]))
    store.settings["cache"] = "shared"
    store.write_config()
    succeeds(store, Job(["test ! -e /cache/file", "echo all > /cache/file"]))
    succeeds(store, Job(["test $(cat /cache/file) = all"], project=2))
    succeeds(store, Job(["test ! -e /cache/file"], project=2, git=PROTECTED))
    store.define(IMAGE, "cache: none")
    succeeds(store, Job(["test ! -e /cache/file", "mkdir -p /cache", "echo gone > /cache/file"]))
    succeeds(store, Job(["test ! -e /cache/file"]))
    store.define(IMAGE, "cache: project")
    succeeds(store, Job(["test $(cat /cache/file) = mine"]))
    names = [path.name for path in places(store, "cache")]
    # bind has the last word, and nothing of a project's is mounted where jobs of others can write
    for target in ("/cache", "/cache/below"):
        (tmp_path / "bound").mkdir(exist_ok=True)
        store.settings["bind"] = [f"{tmp_path}/bound:{target}"]
        store.write_config()
        succeeds(store, Job(["test ! -e /cache/file", f"touch {target}/{Path(target).name}"]))
    assert sorted(os.listdir(tmp_path / "bound")) == ["below", "cache"]
    assert [path.name for path in places(store, "cache")] == names


def test_nothing_says_which_project(store: Site) -> None:
    """Without the word of GitLab there is no cache of a project; the log says so."""
    done = store.call("prepare", IMAGE, "--id", "7", env={"CUSTOM_ENV_CI_PROJECT_ID": "1"})
    assert done.returncode == 0 and "did not say which project this job belongs to" in done.stderr, str(done)
    assert store.call("cleanup", "--id", "7").returncode == 0
    assert places(store, "cache") == [] and "No" in store.call("cache").stderr.replace("Nothing", "No")


def test_places_that_cannot_be_used(make_site, tiny_root: Path) -> None:
    """The job runs without what earlier ones left, and its log says what is missing and why."""
    for name in (".caches", ".builds"):
        (tiny_root / name).touch()
    log = succeeds(make_site(root=tiny_root, builds="persistent"), Job(["true"]))
    assert f"not kept for later jobs: cannot make one in '{tiny_root}/.builds': Not a directory" in log, log
    assert f"no cache of earlier jobs, and its own is removed at its end: cannot use '{tiny_root}/.caches'" in log, log


def cached(script: list[str], key: str, *fallback: str, **kwargs: Any) -> Job:
    """A job with a cache of directory `kept`."""
    cache = {"key": key, "paths": ["kept"], "untracked": False, "policy": "pull-push", "when": "on_success",
             "fallback_keys": list(fallback)}
    return Job(script, cache=[{**cache, **kwargs.pop("cache", {})}], **kwargs)


@pytest.mark.parametrize("storage", ["overlay", "btrfs", "tmpfs"])
def test_caches_of_gitlab(make_site, storage: str) -> None:
    """Keys, fallback keys and policies, with the scripts as GitLab Runner writes them."""
    site = make_site(storage=storage, bind_ro=[f"{PROGRAM}:/usr/bin/gitlab-runner"])
    number = os.getpid()
    project = {"project": number, "server": f"http://{storage}.invalid"}
    log = succeeds(site, cached(["mkdir kept", "echo one > kept/file", "ln -s file kept/link"], "a-protected",
                                **project))
    assert "Failed to extract cache" in log and "Created cache" in log, log
    log = succeeds(site, cached(["cat kept/link", "echo two > kept/file"], "a-protected", **project,
                                cache={"policy": "pull"}))
    assert "Successfully extracted cache" in log and "\none" in log and "Creating cache" not in log, log
    # by a hash of files, which is not there yet, but another one is
    log = succeeds(site, cached(["cat kept/file", "echo three > kept/file"], "2f1c9a", "none", "a-protected", **project))
    assert log.count("Failed to extract cache") == 2 and "\none" in log, log
    assert "\nthree" in succeeds(site, cached(["cat kept/file"], "2f1c9a", **project))
    log = succeeds(site, cached(["test ! -e kept"], "2f1c9a", "a-protected", project=number + 1,
                                server=f"http://{storage}.invalid"))
    assert "Successfully" not in log, log
    for row in listed(site):
        if row["id"] in (number, number + 1):
            assert row["size"] > 0 and row["state"] == "free"
            assert site.call("cache", "remove", row["name"]).returncode == 0


@contextmanager
def together(site: Site) -> Iterator[tuple[Build, Build]]:
    """Two jobs whose containers are up."""
    builds = Build(site.runner(), Job()), Build(site.runner(), Job())
    try:
        yield builds[0].begin(), builds[1].begin()
    finally:
        for build in builds:
            build.cleanup()
    assert site.traces() == []


@pytest.mark.host_matters
@pytest.mark.parametrize("private_users", [True, False])
def test_two_jobs_at_once(make_site, tiny_root: Path, private_users: bool) -> None:
    """Both have the same cache, whoever is who on the host, and each its own working copy."""
    site = make_site(root=tiny_root, builds="persistent", private_users=private_users)
    with together(site) as (first, second):
        first.run_script("echo from-first > /cache/x; chown 1000:1000 /cache/x; touch /builds/first")
        assert second.run_script("stat -c %u:%g /cache/x; cat /cache/x; ls /builds").stdout == b"1000:1000\nfrom-first\n"
        second.run_script("echo from-second > /cache/x; touch /builds/second")
        assert first.run_script("cat /cache/x; ls /builds").stdout == b"from-second\nfirst\n"
        assert [row["state"] for row in listed(site)] == ["in use"] * 3
        done = site.call("cache", "remove")
        assert done.returncode == 1 and done.stderr.count("is not removed: a job uses it") == 3, str(done)
    # on disk the owners are the containers' own numbers
    (place,) = places(site, "cache")
    assert [os.stat(place / "root" / name).st_uid for name in (".", "x")] == [0, 1000]
    assert len(places(site, "builds")) == 2
    with site.started() as third:
        assert third.run_script("ls /builds").stdout == b"first\n"
    assert site.call("cache", "remove", "group/project").returncode == 0
    assert listed(site) == [] and places(site, "cache") == []


ATTACK = """
cd $where
mkdir -p deep/er; touch deep/er/file
ln -s /etc/shadow absolute; ln -s ../../../../../../../../etc relative; ln -s . round
cp /bin/cat suid; chmod 6755 suid
if ln /etc/passwd hard 2>/dev/null; then exit 3; fi
mknod pipe p || true
if mknod null c 1 3 2>/dev/null && cat null; then exit 4; fi
touch -- '-rf' 'new
line'
rm -rf /builds/group
ln -s /etc /builds/group || true
chmod 0 .
"""


@pytest.mark.host_matters
@pytest.mark.parametrize("storage", ["overlay", "btrfs"])
def test_hostile_content(make_site, storage: str, tmp_path: Path) -> None:
    """What an attacker leaves in a cache and a working copy stays there, and keeps nobody from working."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("untouched")
    site = make_site(storage=storage, builds="persistent")
    project = {"project": os.getpid() + 5, "server": f"http://{storage}-hostile.invalid"}
    with site.started(Job(**project)) as build:
        for where in ("/cache", "/builds"):
            build.run_script(ATTACK.replace("$where", where) + f"\nln -s {canary} {where}/canary || true")
    passwd = Path("/etc/passwd").stat()
    with site.started(Job(**project)) as build:
        out = build.run_script("ls -A /cache; stat -c %a /cache; ls -A /builds; id -u").stdout
        assert b"suid" in out and b"\n777\n" in out, out
        # the way to the working copy was a symlink: it is a new one
        assert out.endswith(b"\n777\n0\n"), out
    rows = [row for row in listed(site) if row["id"] == project["project"]]
    assert len(rows) == 2 and all(row["state"] == "free" for row in rows), rows
    for row in rows:
        assert site.call("cache", "remove", row["name"]).returncode == 0
    assert (canary / "file").read_text() == "untouched" and Path("/etc/passwd").stat().st_nlink == passwd.st_nlink
    assert [row for row in listed(site) if row["id"] == project["project"]] == []


@pytest.fixture(name="repository")
def repository_fixture(tmp_path: Path) -> Iterator[Repository]:
    """One commit with one file."""
    with Coordinator(tmp_path / "www") as server:
        yield Repository(tmp_path, server)


class JobOfUser(Job):
    """A job with a user of its own."""

    def payload(self) -> dict[str, Any]:
        """With `image:docker:user`."""
        payload = super().payload()
        return {**payload, "image": {"name": "", "executor_opts": {"docker": {"user": "nobody"}}}}


def fetching(repository: Repository, script: list[str], *variables: tuple[str, str]) -> Job:
    """A job that fetches into what is there."""
    return repository.job(script, ("GIT_STRATEGY", "fetch"), *variables)


@pytest.fixture(name="kept")
def kept_fixture(make_site) -> Iterator[Site]:
    """A site that keeps working copies; they go with it."""
    site = make_site(builds="persistent", network="host")
    yield site
    assert all(row["state"] == "free" for row in listed(site))
    site.call("cache", "remove")


def test_only_the_difference_is_fetched(kept: Site, repository: Repository) -> None:
    """A second job finds the first one's repository, and fetches what is new."""
    log = succeeds(kept, fetching(repository, ["cat file", "touch untracked", "git rev-parse HEAD > .git/mark"]))
    assert FRESH in log and "from the repository" in log, log
    first = repository.sha
    (repository.work / "file").write_text("second\n")
    repository.git("commit", "-qam", "second")
    repository.git("push", "-q", str(repository.bare), "main")
    subprocess.run(["git", "-C", repository.bare, "update-server-info"], check=True)
    repository.sha = repository.git("rev-parse", "HEAD")
    old = repository.git("rev-parse", f"{first}:file")
    (repository.bare / "objects" / old[:2] / old[2:]).unlink()  # whoever fetches all fails
    log = succeeds(kept, fetching(repository, ["cat file .git/mark", "test ! -e untracked"]))
    assert FRESH not in log and "second" in log and first in log, log
    # jobs of protected refs have another one, and with the default nothing is kept
    job = fetching(repository, ["cat file"])
    job.git["protected"] = True
    for result in (kept.run(job), with_setting(kept, "builds", "ephemeral").run(fetching(repository, ["cat file"]))):
        assert result.state == "failed" and FRESH in result.log, str(result)


@pytest.fixture(name="small")
def small_fixture(lab: Lab) -> Iterator[str]:
    """An image of busybox beside the Debian one: without bash and git."""
    tree = lab.root("overlay") / f"small-{os.getpid()}"
    ociimage.busybox_root(tree)
    yield tree.name
    host.remove_tree(tree)


@pytest.mark.host_matters
def test_in_the_helper(kept: Site, repository: Repository, small: str) -> None:
    """What is kept is there for stages that run in the root of a helper image, too."""
    for fresh in (True, False):
        job = fetching(repository, ["cat file", "test ! -e /usr/bin/git"])
        job.image = small
        job.cache = [{"key": "k", "paths": ["file"], "untracked": False, "policy": "pull-push", "when": "on_success"}]
        log = succeeds(with_setting(kept, "helper_image", IMAGE), job)
        assert "from the repository" in log and (FRESH in log) == fresh, log


def with_setting(site: Site, name: str, value: Any) -> Site:
    """The site, with another value."""
    site.settings[name] = value
    site.write_config()
    return site


def test_users_have_their_own(kept: Site, repository: Repository) -> None:
    """Who is not root in the container finds nothing there that others made."""
    succeeds(kept, fetching(repository, ["cat file"]))
    for fresh in (True, False):
        job = JobOfUser(["cat file", "id -un"], variables=[Variable("GIT_STRATEGY", "fetch")],
                        git={"sha": repository.sha, "repo_url": repository.url})
        log = succeeds(kept, job)
        assert "nobody" in log and (FRESH in log) == fresh, log
    assert FRESH not in succeeds(kept, fetching(repository, ["cat file"]))


def kill_supervisor(site: Site) -> None:
    """Kills the process that a container lives by."""
    for pid, command in host.processes().items():
        if "supervise" in command and str(site.runtime_dir) in command:
            host.kill(pid)


def test_working_copy_of_a_killed_job(kept: Site, repository: Repository) -> None:
    """Stale locks of git and the job's files go; after a crash of the host, or where the way to it is not what it was,
    the copy is replaced."""
    succeeds(kept, fetching(repository, ["touch .git/mark"]))
    build = Build(kept.runner(), fetching(repository, [])).begin()
    build.run_stage("get_sources")
    build.run_script("cd /builds/group/project && mkdir -p ../project.tmp && echo secret > ../project.tmp/TOKEN\n"
                     "touch .git/index.lock .git/packed-refs.lock .git/objects/maintenance.lock .git/HEAD.lock")
    kill_supervisor(kept)
    build.cleanup()
    (place,) = places(kept, "builds")
    project = place / "root" / "group" / "project"
    assert (project / ".git" / "packed-refs.lock").exists() and (project.parent / "project.tmp" / "TOKEN").exists()
    with kept.started(fetching(repository, [])):
        assert not list(project.rglob("*.lock")) and not (project.parent / "project.tmp").exists()
        assert (place / "busy").exists()
    log = succeeds(kept, fetching(repository, ["cat file", "test -e .git/mark"]))
    assert FRESH not in log
    # the host went down
    assert not (place / "busy").exists()
    (place / "busy").write_text("0c4e33c0-another-boot\n")
    log = succeeds(kept, fetching(repository, ["cat file"]))
    assert "could not be cleaned: this job gets a new one" in log and FRESH in log, log
    # a job made a symlink of the way
    succeeds(kept, fetching(repository, ["cd /", "rm -rf /builds/group", "ln -s /etc /builds/group"]))
    log = succeeds(kept, fetching(repository, ["cat file"]))
    assert "could not be cleaned: this job gets a new one" in log and FRESH in log, log
    assert len(places(kept, "builds")) == 1


def grow(site: Site, project: int, megabytes: int) -> None:
    """Has a job of @project fill its cache."""
    succeeds(site, Job([f"dd if=/dev/zero of=/cache/data bs=1M count={megabytes}"], project=project))


def test_large_ones_are_measured_behind(store: Site) -> None:
    """cleanup does not wait for that; what takes longer is complete a while later."""
    store.settings["builds"] = "persistent"
    store.write_config()
    succeeds(store, Job(["mkdir /builds/{1..300}; for d in /builds/*; do touch $d/{1..200}; echo x > $d/x; done"]))
    (place,) = places(store, "builds")
    wait_until(lambda: (place / "size").exists() and "+" not in (place / "size").read_text())
    assert int((place / "size").read_text()) >= 600 * 4096
    assert store.call("measure-kept", store.root).returncode == 0


def projects(site: Site) -> list[int]:
    """Of which projects there are caches."""
    return sorted(row["id"] for row in listed(site))


def test_the_least_recently_used_goes(store: Site) -> None:
    """prepare and gc make room; what a job has stays, and the project's own cache goes last."""
    store.settings["cache_size"] = "10M"
    store.write_config()
    for project in (1, 2, 3):
        grow(store, project, 3)
    assert projects(store) == [1, 2, 3]
    succeeds(store, Job(["ls -l /cache/data"], project=1))  # used again
    grow(store, 4, 3)
    assert projects(store) == [1, 2, 3, 4]  # until the next one looks, which does not know how large it gets
    succeeds(store, Job(project=4))
    assert projects(store) == [1, 3, 4]
    store.settings["cache_size"] = "4M"
    store.write_config()
    with store.started(Job(project=3)):  # removes what others have
        assert projects(store) == [3]
    grow(store, 1, 6)
    done = store.call("gc", "--dry-run")
    assert done.stdout + done.stderr != "" and projects(store) == [1, 3], str(done)
    with store.started(Job(project=3)):
        done = store.call("gc")
        assert done.returncode == 0 and projects(store) == [3], str(done)
    grow(store, 5, 6)
    assert store.call("gc").returncode == 0 and projects(store) == []  # too large by itself


@pytest.mark.host_matters
@pytest.mark.parametrize("when", ["place", "plan", "runs"])
def test_prepare_is_killed(make_site, tiny_root: Path, when: str) -> None:
    """However far it came, nothing stays locked after cleanup, and the next job has the same places."""
    site = make_site(root=tiny_root, builds="persistent")
    succeeds(site, Job(["echo kept > /cache/file; echo kept > /builds/file"]))
    build = Build(site.runner(), Job())
    build.start_attempt()
    build.config()
    build.start_build()
    (place,) = places(site, "builds")
    conditions = {"place": (place / "busy").exists, "plan": lambda: list(site.runtime_dir.glob("jobs/*/machine.json")),
                  "runs": site.container_pids}
    call = build.start("prepare", build.runner.prepare_exec)
    wait_until(lambda: conditions[when]() or call.process.poll() is not None, 0.002)
    call.process.kill()
    call.process.wait()
    build.cleanup()
    assert site.traces() == []
    # Processes that the killed one made hold its locks until they have ended, too.
    wait_until(lambda: [row["state"] for row in listed(site)] == ["free", "free"])
    with site.started() as build:
        assert build.run_script("cat /cache/file /builds/file").stdout == b"kept\nkept\n"
    assert [row["state"] for row in listed(site)] == ["free", "free"]


def test_what_a_killed_removal_leaves(store: Site) -> None:
    """gc finishes it; list does not show it, and an empty place is none."""
    succeeds(store, Job(["mkdir -p /cache/a/b; touch /cache/a/b/c"]))
    (place,) = places(store, "cache")
    place.rename(place.with_name(".discarded-0123456789abcdef"))
    (place.parent / "0000000000000000-9-other").mkdir(mode=0o700)
    assert [row["id"] for row in listed(store) if row["project"]] == []
    done: Done = store.call("gc")
    assert done.returncode == 0 and places(store, "cache") == [], str(done)


# Of what removes a cache, in order.
REMOVAL_CALLS = (("flock", 1), ("flock", 2), ("mkdir,mkdirat", 1), ("rename,renameat,renameat2", 1), ("unlink,unlinkat,rmdir", 1),
                 ("unlink,unlinkat,rmdir", 2), ("unlink,unlinkat,rmdir", 4), ("clone,clone3,fork,vfork", 1))


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not in PATH")
def test_removal_is_killed(store: Site, tmp_path: Path) -> None:
    """Wherever that is: the next job of the project has the cache, or a new one, and gc leaves no more than is listed."""
    log, reached = tmp_path / "trace", 0
    for calls, when in REMOVAL_CALLS:
        succeeds(store, Job(["mkdir -p /cache/a/b && cd /cache/a && touch b/c d e && echo all >/cache/whole"]))
        done = subprocess.run(["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", "-e",
                               f"inject={calls}:signal=KILL:when={when}", *store.argv("cache", "remove")], check=False,
                              timeout=pace.PATIENCE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        reached += done.returncode != 0 and "SIGKILL" in host.read(log)
        kept = [row for row in listed(store) if row["project"]]
        assert len(kept) <= 1, kept
        content = succeeds(store, Job(["ls /cache; cat /cache/whole 2>/dev/null || echo -n"]))
        assert ("\na\nwhole\nall\n" in content) == bool(kept), (calls, when, content)
        assert store.call("gc").returncode == 0
        assert len(places(store, "cache")) == 1, (calls, when)
        wait_until(lambda: not list((store.root / ".trash").iterdir()))  # what a cleanup left to a process in the background
        assert store.call("cache", "remove").returncode == 0
        assert places(store, "cache") == []
    assert reached >= 4, "the points no longer fit what the program does"


def test_misuse(store: Site) -> None:
    """Unknown words and projects."""
    for arguments in (("drop",), ("list", "x"), ("remove", "--json")):
        assert "Usage: cache" in store.call("cache", *arguments).stderr
    done = store.call("cache", "remove", "group/none")
    assert done.returncode == 1 and "Nothing is kept for project 'group/none'" in done.stderr, str(done)
    assert store.call("cache", "remove").returncode == 0


@pytest.mark.host_matters
def test_file_system_without_owners(store: Site, tmp_path: Path) -> None:
    """Where an administrator has mounted one that cannot show a job's users: doctor and the job's log say so."""
    succeeds(store, Job(["true"]))
    assert any("caches, working copies" in line and "ok" in line for line in store.call("doctor").stdout.splitlines())
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    options = ",".join(f"{name}dir={tmp_path}/{name}" for name in ("lower", "upper", "work"))
    subprocess.run(["mount", "-t", "overlay", "-o", options, "none", store.root / ".caches"], check=True)
    try:
        said = store.call("doctor").stdout
        assert "(overlay) cannot show files with the users of a job" in said, said
        result = store.run(Job(["true"]))
        assert (result.state, result.failure_reason) == ("failed", "runner_system_failure"), str(result)
        assert "cannot mount volume" in result.log and "(overlay) cannot show files" in result.log, result.log
    finally:
        host.unmount(store.root / ".caches")
    succeeds(store, Job(["true"]))
