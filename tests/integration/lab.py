# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the tests run jobs: image roots made once for all tests, and a Site with its own settings for each test."""

import itertools
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence

import host
from pace import Limit, wait_until
from simulation.build import Build, Runner
from simulation.gitlabrunner import Result, run_job
from simulation.jobspec import Job

IMAGE = "debian"
STORAGES = ("overlay", "btrfs", "tmpfs")
COMBINATIONS = list(itertools.product(STORAGES, (True, False), ("yes", "no")))
# Those with which each value of one setting has been together with each value of another.
PAIRWISE = [("overlay", True, "yes"), ("overlay", False, "no"), ("btrfs", True, "no"), ("btrfs", False, "yes"),
            ("tmpfs", True, "yes"), ("tmpfs", False, "no")]
TINY_PROGRAMS = ("bash sh cat ls sleep mkdir rm rmdir touch chmod chown id stat env true false uname hostname "
                 "head tail wc seq dd sha256sum date mktemp ln cp mv readlink sort sync tr nproc").split()

# What the driver keeps in an image root between jobs.
KEPT = {".layers", ".generations", ".oci", ".kept", ".trash", ".caches", ".builds", ".pushed", ".logs"}

# How long systemd and machined may take to forget containers that are gone.
FORGETTING_SECONDS = 20

# Ends a container from inside at once, whatever its first process is: reboot(2) in a PID namespace.
POWER_OFF = "sync; python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'"


def combination_name(combination: tuple[str, bool, str]) -> str:
    """Such as overlay-userns-boot."""
    storage, private_users, boot = combination
    return f"{storage}-{'userns' if private_users else 'hostids'}-{'boot' if boot == 'yes' else 'init'}"


def yaml(value: Any) -> str:
    """One setting's value as YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) and value not in ("yes", "no") else str(value)


class Done(subprocess.CompletedProcess):
    """A finished command, readable in a failed assertion."""

    def __str__(self) -> str:
        return f"{self.args}: exit status {self.returncode}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Lab:
    """What is made once: a temporary directory, a Debian image on the file system there and another on btrfs."""

    def __init__(self, driver: Path, image_dir: Path | None, bound: bool = False):
        self.driver, self._bound = driver, bound
        # For what is on the file system of the host: other file systems, in files, and links to the files of trees there. Short,
        # as names of sockets must be.
        self.outside = Path(tempfile.mkdtemp(prefix="nspawn-tests-"))
        self.outside.chmod(0o755)
        self.base = self.outside / "b"
        self._make_base()
        # Short, as names of sockets must be, and on a tmpfs, as /run/nspawn-runner is where systemd runs.
        self.runtime_base = Path(tempfile.mkdtemp(prefix="nspawn-runner-test-", dir="/run"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.runtime_base], check=True)
        self.filters = self.runtime_base / "filters"
        self.plain_root = self.base / "plain"
        self.btrfs_root = self.base / "btrfs"
        self._source = image_dir
        self._tiny: Path | None = None
        self._states: dict[Path, dict[str, str]] = {}
        self._ends: list[tuple[float, str]] = []

    def _make_base(self) -> None:
        """A file system of our own, which is gone much sooner than its files are removed. And where thousands of files were
        removed a moment before, a host's ext4 without a journal looks at the inode of each of them for every new file."""
        if self._bound:  # there is one already
            self.base.mkdir()
            return
        options = "loop,data=writeback,barrier=0,noinit_itable"
        self.mount_new("ext4", self.base, "20G", ("-m", "0", "-E", "lazy_itable_init=1,nodiscard"), options)

    def root(self, storage: str) -> Path:
        """The image root to use with a storage driver; its image is there."""
        root = self.btrfs_root if storage == "btrfs" else self.plain_root
        if not (root / IMAGE).exists():
            if storage == "btrfs":
                self.mount_new("btrfs", root, "4G")
            root.mkdir(exist_ok=True)
            self._provide_image(root)
            if not self._bound:
                self._states[root / IMAGE] = host.fingerprint(root / IMAGE)
        return root

    def image(self, storage: str = "overlay") -> Path:
        """The tree of the Debian image that jobs with @storage use."""
        return self.root(storage) / IMAGE

    def note_end(self, name: str) -> None:
        """The tests of the file @name have ended."""
        self._ends.append((time.time(), name))

    def changes_of_images(self) -> list[str]:
        """What has changed in the images since they were made, and which file's tests did it. To look at every file takes as
        long as a test, so it is done once, at the end; the time of a change, which nobody can set, tells the rest."""
        changed = []
        for image, before in self._states.items():
            for line in host.changes(before, host.fingerprint(image)):
                path = image / line.split(": ")[1]
                while not os.path.lexists(path):
                    path = path.parent
                when = os.lstat(path).st_ctime
                name = next((name for end, name in self._ends if end > when), "what came after all tests")
                changed.append(f"{name}: {image}: {line}")
        return changed

    def mount_new(self, kind: str, where: Path, size: str, make: Sequence[str] = (), mount: str = "loop") -> None:
        """Mounts a new file system of that kind, in a file of ours, at @where."""
        where.mkdir()
        file = self._disk(kind, where)
        subprocess.run(["truncate", "-s", size, file], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", *make, file], check=True, capture_output=True)
        subprocess.run(["mount", "-o", mount, file, where], check=True)
        shutil.rmtree(where / "lost+found", ignore_errors=True)

    @contextmanager
    def file_system(self, kind: str, name: str, size: str, **more: Any) -> Iterator[Path]:
        """A new file system of that kind, mounted as long as the caller is in the context; @more as for mount_new()."""
        where = self.base / f"{kind}-{name}"
        self.mount_new(kind, where, size, **more)
        try:
            yield where
        finally:
            host.unmount(where)
            where.rmdir()
            self._disk(kind, where).unlink()

    def _disk(self, kind: str, where: Path) -> Path:
        """The file with the file system at @where: not in another such file, to be written only once."""
        return self.outside / f"{where.name}.{kind}"

    def _provide_image(self, root: Path) -> None:
        if self._source is None:
            subprocess.run([self.driver, "--root", root, "chroot-create", IMAGE], check=True)
            self._source = root / IMAGE
            return
        if self._bound:
            (root / IMAGE).mkdir()
            subprocess.run(["mount", "--bind", self._source, root / IMAGE], check=True)
        elif root == self.btrfs_root:
            subprocess.run(["btrfs", "-q", "subvolume", "create", root / IMAGE], check=True)
            subprocess.run(["cp", "-a", "--reflink=auto", f"{self._source}/.", root / IMAGE], check=True)
        else:
            subprocess.run(["cp", "-a", "--reflink=auto", self._source, root / IMAGE], check=True)

    @staticmethod
    def link_tree(tree: Path, where: Path) -> None:
        """Makes @where the same as @tree: by hard links to its files, none of which anybody may change in place, or, where they
        are not possible, as a copy."""
        if subprocess.run(["cp", "-al", tree, where], stderr=subprocess.DEVNULL, check=False).returncode:
            host.remove_tree(where)
            subprocess.run(["cp", "-a", "--reflink=auto", tree, where], check=True)

    def tiny_image(self) -> Path:
        """A tree of 20 MB with a shell and the commonest commands, without systemd; copy it, do not change it."""
        if self._tiny:
            return self._tiny
        source, tiny = self.image(), self.base / "tiny"
        for name in ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "etc", "tmp", "root", "proc", "sys", "dev", "run",
                     "var/tmp"):
            (tiny / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (tiny / name).symlink_to("usr/" + name)
        (tiny / "tmp").chmod(0o1777)
        for name in ("passwd", "group", "os-release"):
            shutil.copy(source / "etc" / name, tiny / "etc" / name)
        listing = subprocess.run(["chroot", source, "/usr/bin/ldd", *(f"/usr/bin/{p}" for p in TINY_PROGRAMS)],
                                 capture_output=True, text=True, check=True).stdout
        wanted = sorted({f"/usr/bin/{p}" for p in TINY_PROGRAMS} | set(re.findall(r"(/\S+) \(0x", listing)))
        found = subprocess.run(["chroot", source, "/usr/bin/readlink", "-f", *wanted], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        for name, real in zip(wanted, found, strict=True):
            target = Path(os.path.realpath(tiny / name[1:].rpartition("/")[0])) / name.rpartition("/")[2]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / real[1:], target)
        self._tiny = tiny
        return tiny

    def tiny_root(self) -> Path:
        """A new image root of the caller's own with one tiny image in it."""
        root = Path(tempfile.mkdtemp(prefix="root-", dir=self.base))
        root.chmod(0o755)
        subprocess.run(["cp", "-a", self.tiny_image(), root / IMAGE], check=True)
        return root

    def close(self) -> None:
        """Removes everything."""
        for line in reversed(host.mounts()):
            where = line.split()[4]
            if where.startswith((f"{self.outside}/", str(self.runtime_base))):
                subprocess.run(["umount", "--lazy", where], check=True)
        host.remove_tree(self.outside)
        host.remove_tree(self.runtime_base)


class Site:
    """One installation of the driver: configuration file, image root, runtime directory, jobs."""

    def __init__(self, lab: Lab, settings: dict[str, Any], root: Path | None = None):
        self.lab = lab
        self.directory = Path(tempfile.mkdtemp(prefix="site-", dir=lab.base))
        self.directory.chmod(0o755)
        (self.directory / "tmp").mkdir()
        self.runtime_dir = lab.runtime_base / self.directory.name.removeprefix("site-")
        # Servers of tests listen on the host's loopback address; test_network.py is about other networks.
        self.settings = {"storage": "overlay", "boot": "no", "network": "host", "start_timeout": "240s", **settings}
        self.wrapper: list[str] = []  # what each command of the driver begins with
        self.root = Path(root or lab.root(str(self.settings["storage"])))
        self.definitions = self.directory / "definitions"
        self.definitions.mkdir()
        if "runtime_dir" not in settings and lab.filters.is_dir():
            self.runtime_dir.mkdir()
            shutil.copytree(lab.filters, self._filters)
        self.settings = {"root_dir": str(self.root), "runtime_dir": str(self.runtime_dir),
                         "definitions_dir": str(self.definitions), **self.settings}
        self.config = self.directory / "nspawn-runner.yaml"
        self.write_config()
        self._hidden_before = self._hidden()

    @property
    def _filters(self) -> Path:
        """Where compiled seccomp filters are kept."""
        return self.runtime_dir / "seccomp"

    def forget_filters(self) -> None:
        """As before a host's first job. The other sites of a test run have the filters of those before, as compiling one takes
        a good part of a short job's CPU time; the name of a filter tells whether it is the right one."""
        host.remove_tree(self._filters)

    def write_config(self) -> None:
        """Writes the settings to the configuration file."""
        lines = [f"{key}: {yaml(value)}\n" for key, value in self.settings.items()]
        self.config.write_text("".join(lines))

    def define(self, image: str, *variables: str) -> Path:
        """Writes the definition of an image, with lines such as "boot: no" that get the prefix."""
        path = self.definitions / f"{image}.yaml"
        path.write_text("- hosts: all\n  vars:\n" + "".join(f"    nspawn_runner_{line}\n" for line in variables))
        return path

    # Calling the driver

    def argv(self, *arguments: str) -> list[str]:
        """The driver's command line with our configuration."""
        return [*self.wrapper, str(self.lab.driver), "--config", str(self.config), *map(str, arguments)]

    def call(self, *arguments: str, env: dict[str, str] | None = None, **kwargs: Any) -> Done:
        """Runs one command of the driver to its end. Without @env the environment has no variable of a job's."""
        clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(self.directory / "tmp")}
        done = subprocess.run(self.argv(*arguments), env={**clean, **(env or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", check=False, **kwargs)
        return Done(done.args, done.returncode, done.stdout, done.stderr)

    def runner(self, **kwargs: Any) -> Runner:
        """A gitlab-runner that uses this driver; prepare is not delayed when it is tried again."""
        commands = {"config_exec": self.argv("gitlab-config"), "run_exec": self.argv("run"),
                    "prepare_exec": self.argv("prepare", "--default-image", IMAGE),
                    "cleanup_exec": self.argv("cleanup")}
        return Runner(**{**commands, "retry_delay": 0, "stage_retry_delay": 0,
                         "tmpdir": str(self.directory / "tmp"), **kwargs})

    def run(self, job: Job, **kwargs: Any) -> Result:
        """Plays a whole job."""
        return run_job(self.runner(**kwargs), job)

    @contextmanager
    def started(self, job: Job | None = None, **kwargs: Any) -> Iterator[Build]:
        """A job whose machine is up; cleanup is called at the end and must succeed and leave nothing."""
        build = Build(self.runner(**kwargs), job or Job())
        build.begin()
        try:
            yield build
        finally:
            call = build.cleanup()
        assert call and call.returncode == 0, call
        assert self.traces() == []

    # What is there

    @property
    def prefix(self) -> str:
        """What the names of this site's machines begin with, and those of nobody else's."""
        return host.machine_prefix(Path(self.settings["runtime_dir"]))

    @property
    def owned(self) -> str:
        """A pattern for all names of theirs: those of their jobs' slices are written in another way."""
        return f"{self.prefix}|machine-{self.prefix.replace('-', '_')}"

    def machine(self) -> str:
        """The name of the only job's machine."""
        return self.prefix + self.job_id()

    def job_pids(self, commands: dict[int, str] | None = None, groups: list[str] | None = None) -> list[int]:
        """Processes of this site's jobs, of the driver or inside a container; of those of @commands, and by the control
        groups @groups, if these are known."""
        grouped = self._grouped(host.cgroups_named(self.owned) if groups is None else groups)
        return [pid for pid, command in (commands or host.processes()).items() if pid in grouped or self._is_ours(pid, command)]

    @staticmethod
    def _grouped(groups: list[str]) -> set[int]:
        return {int(pid) for path in groups for pid in host.read(f"{path}/cgroup.procs").split()}

    def _is_ours(self, pid: int, command: str) -> bool:
        ours = (self.prefix, f"{self.directory}/", f"{self.runtime_dir}/")
        return pid != os.getpid() and any(part in command for part in ours)

    def kill_jobs(self, seconds: float = math.inf) -> None:
        """SIGKILL to all of them, and to those that they start meanwhile; returns when they are gone, or after @seconds."""
        limit = Limit(seconds)

        def all_gone() -> bool:
            pids = self.job_pids()
            for pid in pids:
                host.kill(pid)
            return not pids or limit.reached()
        wait_until(all_gone)

    def container_pids(self) -> list[int]:
        """Those of them that run in a PID namespace other than ours."""
        own, found = host.namespace("self", "pid"), []
        for pid in self.job_pids():
            try:
                if host.namespace(pid, "pid") != own:
                    found.append(pid)
            except OSError:
                continue
        return sorted(found)

    def init_pid(self) -> int:
        """The first process in the only container, as the host sees it. Others may have lower numbers: those wrap around."""
        statuses = {pid: host.read(f"/proc/{pid}/status") for pid in self.container_pids()}
        (pid,) = [pid for pid, status in statuses.items() if re.search(r"^NSpid:\t\d+\t1$", status, re.MULTILINE)]
        return pid

    def supervisor_pid(self) -> int:
        """The process that keeps the only container. It may have children that look the same."""
        pids = [pid for pid, command in host.processes().items()
                if "supervise" in command.split() and str(self.runtime_dir) in command]
        parents = {pid: re.search(r"^PPid:\t(\d+)$", host.read(f"/proc/{pid}/status"), re.MULTILINE) for pid in pids}
        (pid,) = [pid for pid, parent in parents.items() if parent and int(parent[1]) not in pids]
        return pid

    def layers(self) -> list[str]:
        """Names of this site's layers."""
        directory = self.root / ".layers"
        names = os.listdir(directory) if directory.is_dir() else []
        return sorted(name for name in names if name.startswith(self.prefix))

    def trash(self) -> list[str]:
        """What this site's jobs left that nobody removes: who removes the rest is given the time for it."""
        directory = self.root / ".trash"

        def own() -> list[str]:
            names = os.listdir(directory) if directory.is_dir() else []
            return sorted(name for name in names if name.startswith(self.prefix))

        wait_until(lambda: not own() or
                   not any(f"empty-trash {self.root}" in command for command in host.processes().values()))
        return own()

    def jobs(self) -> list[str]:
        """Names in the runtime directory's jobs/."""
        directory = self.runtime_dir / "jobs"
        return sorted(os.listdir(directory)) if directory.is_dir() else []

    def job_id(self) -> str:
        """The id of the only job there is."""
        (job,) = self.jobs()
        return job

    def _hidden(self) -> set[str]:
        return {name for name in os.listdir(self.root) if name.startswith(".")} if self.root.is_dir() else set()

    def traces(self) -> list[str]:
        """Everything on this host that belongs to jobs of this site; empty after cleanup. What systemd and machined still
        know of containers that are gone they forget a moment later, by themselves."""
        wait_until(lambda: not self._ends_alone())
        out, limit = self._traces_on_host(), Limit(FORGETTING_SECONDS)
        known: list[str] = []

        def is_forgotten() -> bool:
            known[:] = self._known_to_systemd()
            return not known or bool(out) or limit.reached()
        wait_until(is_forgotten)
        return out + known

    def _ends_alone(self) -> bool:
        """Is there a process that nobody waits for, and that ends by itself? One that was killed with its group, outside of
        containers, or one that waited for the end of a job that was kept, when there is no job any more."""
        commands, kept = host.processes(), bool(self.jobs())
        ours = [pid for pid, command in commands.items() if self._is_ours(pid, command)]
        if not kept and any(f"{self.config} end-kept " in commands[pid] for pid in ours):
            return True
        ending = {pid for pid in ours if host.is_ending(pid)}
        return bool(ending and ending - self._grouped(host.cgroups_named(self.owned)))

    def _known_to_systemd(self) -> list[str]:
        out = [f"unit {name}" for name in host.units_named(self.owned)]
        for directory in host.MACHINE_DIRS:
            if directory.is_dir():
                out += [f"{directory}/{name}" for name in os.listdir(directory) if re.search(self.owned, name)]
        return out

    def _traces_on_host(self) -> list[str]:
        job = self.owned
        commands, groups = host.processes(), host.cgroups_named(job)
        out = [f"process {pid}: {commands[pid]}" for pid in self.job_pids(commands, groups)]
        out += [f"layer {name}" for name in self.layers()] + [f"trash {name}" for name in self.trash()]
        out += [f"state of job {name}" for name in self.jobs()]
        out += [f"in the image root: {name}" for name in self._hidden() - self._hidden_before - KEPT]
        ours = (f"{self.directory}/", f"{self.runtime_dir}/", f"{self.root}/")
        out += [f"mount {line}" for line in host.mounts() if any(part in line for part in ours)
                and line.split()[4] != str(self.root / IMAGE)]
        out += [f"cgroup {path}" for path in groups and host.cgroups_named(job)]
        if self.settings.get("private_users", True):
            out += [f"UID lock {name}" for name in host.unheld_uid_locks(rf"^{self.prefix}|^{re.escape(str(self.root))}/")]
        return out

    def close(self) -> list[str]:
        """Removes everything; returns what a test left behind although it should have cleaned up."""
        left = self.traces()
        if left:
            self._force_clean()
        for path in self._filters.glob("*.bpf"):
            if not (self.lab.filters / path.name).exists():
                self.lab.filters.mkdir(mode=0o700, exist_ok=True)
                shutil.copy2(path, self.lab.filters)
        host.remove_tree(self.directory, self.runtime_dir)
        return left

    def _force_clean(self) -> None:
        for unit in host.units_named(self.owned):
            subprocess.run(["systemctl", "kill", "-s", "KILL", unit], check=False)
            if unit.endswith(".slice"):
                subprocess.run(["systemctl", "stop", unit], check=False)
        self.kill_jobs(10)  # what does not go must not keep the rest here
        for line in reversed(host.mounts()):
            where = line.split()[4]
            if where.startswith((f"{self.directory}/", f"{self.runtime_dir}/", f"{self.root}/")):
                subprocess.run(["umount", "-l", where], check=False)
        for name in self.layers():
            host.remove_tree(self.root / ".layers" / name)
        for name in self.trash():
            host.remove_tree(self.root / ".trash" / name)
        for name in self._hidden() - self._hidden_before - KEPT:
            host.remove_tree(self.root / name)
        for path in sorted(host.cgroups_named(self.owned), reverse=True):
            try:
                os.rmdir(path)
            except OSError:
                pass
