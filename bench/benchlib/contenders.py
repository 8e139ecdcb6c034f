# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can run a job: the driver in each of its forms, and what it is compared with.

A contender turns a Job into the command lines of its stages. It keeps no state of its own, so that any
number of jobs can be played at once from several processes.
"""

import os
import shutil
from dataclasses import dataclass

from simulation.build import Build

from . import gitlab
from .stage import BenchError

# What a step sees in a container; for the scripts on the host the same.
PLAIN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
}


@dataclass
class Job:
    """A job and the temporary directory that gitlab-runner would make for it."""

    number: int
    directory: str
    image: str  # its name
    tree: str  # and where that is
    environment: dict
    scripts: dict  # stage -> path
    build: Build

    @property
    def state(self):
        """Where contenders without a place of their own keep the job."""
        return f"{self.directory}/state"

    def write_script(self, text):
        return self.build.script_file(text)


class Contender:
    name = ""
    title = ""
    image = "image"
    needs_systemd = False
    concurrent = True
    stays = True  # something of the job is alive between its stages
    builds = gitlab.CONTAINER_BUILDS

    def __init__(self, place):
        self.place = place

    def tree(self):
        return f"{self.place.plain_root}/{self.image}"

    def new_job(self, services=()):
        number = self.place.next_number()
        build, paths = gitlab.write_job(self.place.jobs, number, self.image, self.builds, services)
        return Job(number, build.tempdir, self.image, self.tree(), build.environment(), paths, build)

    def end_job(self, job):
        shutil.rmtree(job.directory)

    # The four kinds of stages: argument vector, environment, standard input.
    def config(self, job):
        return ["/bin/true"], job.environment, "/dev/null"

    def prepare(self, job):
        raise NotImplementedError

    def run(self, job, stage, script):
        raise NotImplementedError

    def cleanup(self, job):
        raise NotImplementedError

    # What tells that something of the job is left.
    def marks(self, job):
        """Texts that appear in the names of the job's cgroups, units and mount points."""
        return (job.state,)

    def paths(self, job):
        return (job.state,)


class Host(Contender):
    """The same scripts by bash, without any container."""

    name = "host"
    title = "bash on the host"
    builds = "{directory}/builds"
    stays = False

    def config(self, job):
        return ["/bin/true"], PLAIN_ENVIRONMENT, "/dev/null"

    prepare = cleanup = config

    def run(self, job, stage, script):
        return ["/bin/bash", script], PLAIN_ENVIRONMENT, "/dev/null"


class Floor(Contender):
    """What the kernel must do: see floor.c."""

    name = "floor"
    title = "floor"

    def _call(self, job, *arguments):
        return [self.place.floor, *arguments], job.environment, "/dev/null"

    def config(self, job):
        return self._call(job, "config")

    def prepare(self, job):
        return self._call(job, "prepare", job.state, job.tree)

    def run(self, job, stage, script):
        return self._call(job, "run", job.state, script)

    def cleanup(self, job):
        return self._call(job, "cleanup", job.state)


MOUNT_OVERLAY = ("mkdir -p {0}/upper {0}/work {0}/merged && "
                 "mount -t overlay overlay -o lowerdir={1},upperdir={0}/upper,workdir={0}/work {0}/merged")


class NspawnPerStep(Contender):
    """Each step in a systemd-nspawn of its own, without boot: no process survives a step."""

    name = "nspawn"
    title = "systemd-nspawn per step"
    concurrent = False  # two of them in one cgroup get into each other's way
    stays = False
    seccomp = True

    def prepare(self, job):
        return ["/bin/sh", "-c", MOUNT_OVERLAY.format(job.state, job.tree)], job.environment, "/dev/null"

    def run(self, job, stage, script):
        environment = dict(job.environment)
        if not self.seccomp:
            environment["SYSTEMD_SECCOMP"] = "0"
        argv = ["/usr/bin/systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe",
                "--settings=no", "-M", f"bench-{job.number}", "-D", f"{job.state}/merged",
                f"--bind-ro={script}:/run/script", "/bin/bash", "/run/script"]
        return argv, environment, "/dev/null"

    def cleanup(self, job):
        command = f"umount {job.state}/merged && rm -rf {job.state}"
        return ["/bin/sh", "-c", command], job.environment, "/dev/null"


class NspawnPerStepNoSeccomp(NspawnPerStep):
    name = "nspawn-noseccomp"
    title = "the same, SYSTEMD_SECCOMP=0"
    seccomp = False


class ByHand(Contender):
    """The bare commands, as an administrator would put them together."""

    name = "by-hand"
    title = "systemd-run, systemd-nspawn --boot, by hand"
    needs_systemd = True

    def machine(self, job):
        return f"bench-{job.number}"

    def prepare(self, job):
        machine = self.machine(job)
        command = MOUNT_OVERLAY.format(job.state, job.tree) + (
            f" && exec systemd-run --quiet --unit={machine} --slice=machine.slice --collect"
            " --property=Type=notify --property=KillMode=mixed --property=Delegate=yes"
            f" systemd-nspawn --quiet --keep-unit --boot --notify-ready=yes --settings=no --link-journal=no"
            f" -M {machine} -D {job.state}/merged")
        return ["/bin/sh", "-c", command], job.environment, "/dev/null"

    def run(self, job, stage, script):
        argv = ["/usr/bin/systemd-run", "--quiet", "--pipe", "--wait", "--collect", "-M", self.machine(job),
                "/bin/bash"]
        return argv, job.environment, script

    def cleanup(self, job):
        command = (f"machinectl terminate {self.machine(job)} && umount -l {job.state}/merged"
                   f" && rm -rf {job.state}")
        return ["/bin/sh", "-c", command], job.environment, "/dev/null"

    def marks(self, job):
        return (job.state, self.machine(job))


class Driver(Contender):
    network = "host"

    def __init__(self, place, storage, boot):
        super().__init__(place)
        self.storage, self.boot = storage, boot
        self.name = f"{storage}-{'boot' if boot else 'noboot'}"
        self.title = f"nspawn-runner {storage}, boot: {'yes' if boot else 'no'}"
        # A runtime directory belongs to one image root: prepare collects what is dead in the two together.
        self.runtime_name = "btrfs" if storage == "btrfs" else "plain"

    def root(self):
        return self.place.btrfs_root if self.storage == "btrfs" else self.place.plain_root

    def tree(self):
        return f"{self.root()}/{self.image}"

    def runtime(self):
        return f"{self.place.runtime}/{self.runtime_name}"

    def config_file(self):
        path = f"{self.place.scratch}/{self.name}-{self.runtime_name}-{self.network}.yaml"
        if not os.path.exists(path):
            os.makedirs(self.runtime(), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"root_dir: {self.root()}\n"
                        f"runtime_dir: {self.runtime()}\n"
                        f"storage: {self.storage}\n"
                        f"boot: {'yes' if self.boot else 'no'}\n"
                        f"default_image: {self.image}\n"
                        f"network: {self.network}\n")
        return path

    def _call(self, job, *arguments):
        argv = [self.place.driver, "--config", self.config_file(), *arguments]
        return argv, job.environment, "/dev/null"

    def config(self, job):
        return self._call(job, "gitlab-config")

    def prepare(self, job):
        return self._call(job, "prepare")

    def run(self, job, stage, script):
        return self._call(job, "run", script, stage)

    def cleanup(self, job):
        return self._call(job, "cleanup")

    def marks(self, job):
        # The driver's id of a job begins with its number, which no other job on this host has.
        return (f"{job.number}-",)

    def paths(self, job):
        found = []
        for parent in (f"{self.root()}/.layers", f"{self.runtime()}/jobs"):
            try:
                found += [f"{parent}/{entry}" for entry in os.listdir(parent)
                          if entry.startswith(f"{job.number}-") or f"-{job.number}-" in entry]
            except FileNotFoundError:
                pass
        return tuple(found)


def all_contenders(place):
    drivers = [Driver(place, storage, boot)
               for boot in (False, True) for storage in ("overlay", "btrfs", "tmpfs")]
    others = [NspawnPerStep(place), NspawnPerStepNoSeccomp(place), ByHand(place)]
    return [Host(place), Floor(place), *drivers, *others]


def play(contender, player, job=None):
    """Plays a whole job. Returns its Calls by stage name; the job is gone then, also after a failure."""
    job = job or contender.new_job()
    calls = {}
    os.chdir(job.directory)
    try:
        calls["config"] = player.call(*contender.config(job)).check()
        try:
            calls["prepare"] = player.call(*contender.prepare(job)).check()
            for stage, script in job.scripts.items():
                calls[stage] = player.call(*contender.run(job, stage, script)).check()
        finally:
            calls["cleanup"] = player.call(*contender.cleanup(job))
        calls["cleanup"].check()
        if gitlab.MARKER.encode() not in calls["after_script"].stdout:
            raise BenchError(f"{contender.name}: after_script did not find what build_script wrote")
    finally:
        os.chdir("/")
        contender.end_job(job)
    return calls
