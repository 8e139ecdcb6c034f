# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements. Each takes the Place, the contenders and the Settings, and returns plain data.

Whatever is compared is measured alternately, round by round and each round in another order, so that
whatever else the machine does falls on all alike.
"""

import contextlib
import os
import resource
import signal
import socket
import time
from dataclasses import dataclass

from simulation.shellscript import envelope

from . import alive
from .contenders import Driver, play
from .place import sh, systemd_is_here
from .stage import BenchError
from .worker import in_workers

LEVELS = (1, 2, 4, 8)
JOBS_PER_LEVEL = 8
IDLE_JOBS = 4
FILE_BYTES = 25_000
FILES_PER_DIRECTORY = 200


@dataclass
class Settings:
    rounds: int
    output_bytes: int
    large_files: int
    small_files: int = 4_000
    progress: object = lambda text: None


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


@contextlib.contextmanager
def prepared(contender, player):
    """A job between prepare and cleanup."""
    job = contender.new_job()
    os.chdir(job.directory)
    try:
        try:
            player.call(*contender.prepare(job)).check()
            yield job
        finally:
            os.chdir(job.directory)
            cleanup = player.call(*contender.cleanup(job))
        cleanup.check()
    finally:
        os.chdir("/")
        contender.end_job(job)


# Whole jobs, one after the other ----------------------------------------------------------------------------

def children_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def machines_cpu_seconds():
    """What all units in machine.slice have used; 0 where there is no systemd to start any."""
    for hierarchy in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        own = alive.read("/proc/1/cgroup").rpartition("0::")[2].strip().removesuffix("/init.scope")
        for line in alive.read(f"{hierarchy}{own}/machine.slice/cpu.stat").splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) / 1e6
    return 0


def settle(player, marks):
    """Waits until no process of the job is left. Returns the seconds since cleanup returned."""
    seconds = player.settle()
    if not systemd_is_here():
        return seconds
    begin = time.perf_counter()
    while alive.processes(marks):
        if time.perf_counter() - begin > 30:
            raise BenchError("Processes of a job are still there 30 s after cleanup returned")
        time.sleep(0.001)
    return seconds + time.perf_counter() - begin


def play_timed(player, contender):
    job = contender.new_job()
    cpu = children_cpu_seconds() + machines_cpu_seconds()
    calls = play(contender, player, job)
    left = settle(player, contender.marks(job))
    return {
        "stages": {stage: call.seconds for stage, call in calls.items()},
        "whole": sum(call.seconds for call in calls.values()),
        "left": left,
        "cpu": children_cpu_seconds() + machines_cpu_seconds() - cpu,
    }


def _jobs(player, contenders, settings):
    figures = {contender.name: [] for contender in contenders}
    for number in range(-1, settings.rounds):
        settings.progress(f"whole jobs, round {number + 1} of {settings.rounds}")
        for contender in rotated(contenders, number):
            played = play_timed(player, contender)
            if number >= 0:  # the first round only warms caches
                figures[contender.name].append(played)
    return figures


def jobs(_place, contenders, settings):
    return in_workers((_jobs, contenders, settings))[0]


# A single run -----------------------------------------------------------------------------------------------

EMPTY_SCRIPTS = {"nothing": "#!/usr/bin/env bash\n", "empty": envelope("")}


def _empty_run(player, contenders, settings):
    figures = {kind: {contender.name: [] for contender in contenders} for kind in EMPTY_SCRIPTS}
    with contextlib.ExitStack() as stack:
        played = [(contender, stack.enter_context(prepared(contender, player))) for contender in contenders]
        scripts = {(contender.name, kind): job.write_script(text)
                   for contender, job in played for kind, text in EMPTY_SCRIPTS.items()}
        rounds = settings.rounds * 10
        settings.progress(f"empty scripts, {rounds} rounds")
        for number in range(-1, rounds):
            for contender, job in rotated(played, number):
                os.chdir(job.directory)
                for kind in EMPTY_SCRIPTS:
                    script = scripts[contender.name, kind]
                    call = player.call(*contender.run(job, "build_script", script)).check()
                    if number >= 0:
                        figures[kind][contender.name].append(call.seconds)
    return figures


def empty_run(_place, contenders, settings):
    return in_workers((_empty_run, contenders, settings))[0]


# Several jobs at once ---------------------------------------------------------------------------------------

def _play_queue(player, contender, start, queue):
    time.sleep(max(0, start - time.perf_counter()))
    for job in queue:
        play(contender, player, job)
    end = time.perf_counter()
    settle(player, [mark for job in queue for mark in contender.marks(job)])
    return end


def jobs_per_second(contender, level):
    # Laying out the directories is the runner's work and not measured.
    queues = [[contender.new_job() for _ in range(JOBS_PER_LEVEL // level)] for _ in range(level)]
    start = time.perf_counter() + 0.2  # the same clock in all processes
    ends = in_workers(*((_play_queue, contender, start, queue) for queue in queues))
    return JOBS_PER_LEVEL / (max(ends) - start)


def throughput(_place, contenders, settings):
    contenders = [contender for contender in contenders if contender.concurrent]
    figures = {contender.name: {level: [] for level in LEVELS} for contender in contenders}
    rounds = max(1, settings.rounds // 4)
    for number in range(rounds):
        for contender in rotated(contenders, number):
            settings.progress(f"{'/'.join(map(str, LEVELS))} at once, round {number + 1} of {rounds}:"
                              f" {contender.name}")
            for level in rotated(LEVELS, number):
                figures[contender.name][level].append(jobs_per_second(contender, level))
    return figures


# What is left after cleanup ---------------------------------------------------------------------------------

BACKGROUND = "nohup sleep 1000 >/dev/null 2>&1 &\n(sleep 1000 & sleep 1000) >/dev/null 2>&1 &\n"


def _leftovers(player, contender):
    job = contender.new_job()
    os.chdir(job.directory)
    watch = None
    try:
        try:
            player.call(*contender.prepare(job)).check()
            script = job.write_script(envelope(BACKGROUND))
            player.call(*contender.run(job, "build_script", script)).check()
            watch = alive.Watch(contender, job)
        finally:
            cleanup = player.call(*contender.cleanup(job))
        processes = watch.living_processes()
        left = watch.left() | {"processes": processes}
        gone = watch.until_gone()
        cleanup.check()
    finally:
        if watch:
            watch.close()
        os.chdir("/")
        contender.end_job(job)
    return {"left": left, "until_gone": gone}


def leftovers(_place, contenders, settings):
    contenders = [contender for contender in contenders if contender.stays]
    figures = {contender.name: [] for contender in contenders}
    rounds = max(3, settings.rounds // 2)
    for number in range(rounds):
        settings.progress(f"what is left after cleanup, round {number + 1} of {rounds}")
        for contender in rotated(contenders, number):
            # A worker for each, so that what one job leaves is not taken for a part of the next.
            figures[contender.name] += in_workers((_leftovers, contender))
    return figures


# Output -----------------------------------------------------------------------------------------------------

CHUNK_BYTES = 4 << 20
CHUNKS = {
    "zeros": f"head -c {CHUNK_BYTES} /dev/zero",
    "text": f"yes 'the quick brown fox jumps over the lazy dog 0123456789' | head -c {CHUNK_BYTES}",
}


def _output(player, contenders, settings):
    times = settings.output_bytes // CHUNK_BYTES
    figures = {kind: {contender.name: [] for contender in contenders} for kind in CHUNKS}
    with contextlib.ExitStack() as stack:
        played = []
        for contender in contenders:
            job = stack.enter_context(prepared(contender, player))
            directory = job.environment["CUSTOM_ENV_CI_PROJECT_DIR"]
            make = f"mkdir -p {directory}\ncd {directory}\n" + "".join(
                f"{command} > {kind} || [ $? = 141 ]\n" for kind, command in CHUNKS.items())
            script = job.write_script("#!/usr/bin/env bash\n" + make)
            player.call(*contender.run(job, "build_script", script)).check()
            scripts = {kind: job.write_script(
                "#!/usr/bin/env bash\n"
                f"files=()\nfor ((i = 0; i < {times}; i++)); do files+=({directory}/{kind}); done\n"
                'exec cat "${files[@]}"\n') for kind in CHUNKS}
            played.append((contender, job, scripts))
        rounds = max(3, settings.rounds)
        for number in range(rounds):
            settings.progress(f"output of {settings.output_bytes >> 20} MiB, round {number + 1} of {rounds}")
            for contender, job, scripts in rotated(played, number):
                os.chdir(job.directory)
                for kind, script in scripts.items():
                    call = player.call(*contender.run(job, "build_script", script), count=True)
                    call.check()
                    if call.counted != times * CHUNK_BYTES:
                        raise BenchError(f"{contender.name}: {call.counted} bytes of {kind} arrived,"
                                         f" not {times * CHUNK_BYTES}")
                    figures[kind][contender.name].append(call.counted / call.seconds)
    return figures


def output(_place, contenders, settings):
    compared = [contender for contender in contenders
                if not isinstance(contender, Driver) or contender.storage == "overlay"]
    return in_workers((_output, [c for c in compared if c.stays or c.name == "host"], settings))[0]


# Image size -------------------------------------------------------------------------------------------------

def make_image(source, target, files):
    """The least of @source that can run a bash, and @files files of real data."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"{source}/{name}"):
            os.makedirs(f"{target}/usr/{name}")
            os.symlink(f"usr/{name}", f"{target}/{name}")
    wanted = ["/bin/bash", "/usr/lib/os-release", "/etc/os-release", "/etc/passwd", "/etc/group"]
    libraries = sh("chroot", source, "/usr/bin/ldd", "/bin/bash")
    wanted += [word for word in libraries.split() if word.startswith("/")]
    for path in wanted:
        # A link may be absolute, which only the image itself resolves rightly.
        real = sh("chroot", source, "/usr/bin/realpath", path).strip()
        for each in {path, real}:
            os.makedirs(os.path.dirname(target + each), exist_ok=True)
            sh("cp", "-a", source + each, target + each)
    if not os.path.exists(f"{target}/bin/sh"):
        os.symlink("bash", f"{target}/bin/sh")
    for directory in ("dev", "proc", "sys", "run", "tmp", "root", "var/tmp"):
        os.makedirs(f"{target}/{directory}", exist_ok=True)

    data = os.urandom(FILE_BYTES * 2)
    for number in range(files):
        directory = f"{target}/usr/share/padding/{number // FILES_PER_DIRECTORY}"
        if number % FILES_PER_DIRECTORY == 0:
            os.makedirs(directory)
        fd = os.open(f"{directory}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        offset = number % FILE_BYTES
        os.write(fd, data[offset:offset + FILE_BYTES])
        os.close(fd)


def _image_size(player, pairs, settings):
    figures = {name: {size: [] for size in sizes} for name, sizes in pairs.items()}
    rounds = max(5, settings.rounds)
    for number in range(-1, rounds):
        settings.progress(f"prepare of a small and a large image, round {number + 1} of {rounds}")
        for name, sizes in pairs.items():
            for size, contender in rotated(list(sizes.items()), number):
                job = contender.new_job()
                os.chdir(job.directory)
                try:
                    try:
                        call = player.call(*contender.prepare(job)).check()
                    finally:
                        cleanup = player.call(*contender.cleanup(job))
                    cleanup.check()
                    player.settle()
                finally:
                    os.chdir("/")
                    contender.end_job(job)
                if number >= 0:
                    figures[name][size].append(call.seconds)
    return figures


def image_size(place, contenders, settings):
    drivers = [contender for contender in contenders if isinstance(contender, Driver) and not contender.boot]
    pairs = {}
    made = set()
    for driver in drivers:
        root, pairs[driver.name] = driver.root(), {}
        for size, files in (("small", settings.small_files), ("large", settings.large_files)):
            tree = f"{root}/{size}"
            if tree not in made:
                settings.progress(f"making an image of {files} files, {files * FILE_BYTES / 1e9:.1f} GB,"
                                  f" for {driver.storage}")
                if driver.storage == "btrfs":
                    sh("btrfs", "-q", "subvolume", "create", tree)
                else:
                    os.mkdir(tree)
                make_image(f"{place.plain_root}/image", tree, files)
                made.add(tree)
            pairs[driver.name][size] = Driver(place, driver.storage, False)
            pairs[driver.name][size].image = size
        sh("sync", "-f", root)
    return in_workers((_image_size, pairs, settings))[0]


# Memory -----------------------------------------------------------------------------------------------------

def own_processes(marks):
    """The driver's processes among those of some jobs: pid -> name."""
    found = {}
    for pid in alive.processes(marks):
        try:
            name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        except OSError:
            continue
        if name.startswith("nspawn-runner"):
            found[pid] = name.removesuffix(" (deleted)")
    return found


def memory_kib(pid, file, key):
    for line in alive.read(f"/proc/{pid}/{file}").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise BenchError(f"No {key} in /proc/{pid}/{file}")


def _idle(player, driver, place):
    """Memory per idle job, with several of them, and the highest peak of any of the driver's processes."""
    peaks = {}
    # A fresh one, so that the first prepare does what has to be done once after a boot of the host.
    driver.runtime_name = f"fresh-{driver.storage[0]}{driver.boot:d}"

    def peak(job, stage, call):
        argv, environment, stdin = call
        file = f"{job.directory}/peak"
        player.call([place.peak, file, *argv], environment, stdin).check()
        peaks[stage] = max(peaks.get(stage, 0), int(alive.read(file)))

    jobs_idle = []
    try:
        for _ in range(IDLE_JOBS):
            job = driver.new_job()
            jobs_idle.append(job)
            os.chdir(job.directory)
            peak(job, "config", driver.config(job))
            peak(job, "prepare", driver.prepare(job))
            for stage, script in job.scripts.items():
                peak(job, "run", driver.run(job, stage, script))
        time.sleep(1)
        idle = own_processes([mark for job in jobs_idle for mark in driver.marks(job)])
        if not idle:
            raise BenchError(f"{driver.name}: no process of the driver is alive in {IDLE_JOBS} idle jobs")
        per_job = {key: sum(memory_kib(pid, "smaps_rollup", key) for pid in idle) / IDLE_JOBS
                   for key in ("Pss", "Rss")}
        per_name = {}
        for pid, name in idle.items():
            entry = per_name.setdefault(name, {"processes": 0, "Pss": 0, "Rss": 0, "peak": 0})
            entry["processes"] += 1
            for key in ("Pss", "Rss"):
                entry[key] += memory_kib(pid, "smaps_rollup", key)
            entry["peak"] = max(entry["peak"], memory_kib(pid, "status", "VmHWM"))
        for name, entry in per_name.items():
            peaks[f"{name}, resident"] = entry["peak"]
    finally:
        for job in jobs_idle:
            os.chdir(job.directory)
            file = f"{job.directory}/peak"
            argv, environment, stdin = driver.cleanup(job)
            player.call([place.peak, file, *argv], environment, stdin)
            peaks["cleanup"] = max(peaks.get("cleanup", 0), int(alive.read(file) or 0))
            os.chdir("/")
            driver.end_job(job)
        player.settle()
    return {"per_job": per_job, "per_name": per_name, "peaks": peaks}


def memory(place, contenders, settings):
    figures = {}
    for contender in contenders:
        if isinstance(contender, Driver):
            settings.progress(f"memory of {IDLE_JOBS} idle jobs: {contender.name}")
            figures[contender.name] = in_workers((_idle, contender, place))[0]
    return figures


# Services ---------------------------------------------------------------------------------------------------

SERVICE_COUNTS = (0, 1, 8)


def _services(player, contender, settings):
    figures = {count: [] for count in SERVICE_COUNTS}
    for number in range(-1, settings.rounds):
        settings.progress(f"services, round {number + 1} of {settings.rounds}")
        for count in rotated(SERVICE_COUNTS, number):
            job = contender.new_job([{"name": contender.image, "alias": f"service-{i}", "entrypoint": None,
                                      "command": ["sleep", "infinity"]} for i in range(count)])
            calls = play(contender, player, job)
            if number >= 0:
                figures[count].append(calls["prepare"].seconds)
    return figures


def services(place, _contenders, settings):
    contender = Driver(place, "overlay", False)
    contender.network = "private"
    return in_workers((_services, contender, settings))[0]


# Network ----------------------------------------------------------------------------------------------------

NETWORKS = ("host", "private")
HOST_ITSELF = "host-itself"  # without a container
# As fast as it goes, which is the processor's business, and as fast as a wire of 1 Gbit/s.
SERVED = {"unlimited": (256 << 20, None), "gigabit": (64 << 20, 125_000_000)}
SO_MAX_PACING_RATE = 47


def own_address():
    """An address of this host that is not of its loopback: jobs with networks of their own reach it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 9))  # sends nothing
        return s.getsockname()[0]


def serve(server, size, rate):
    """Sends the same bytes to everybody who connects, in a process of its own."""
    chunk = bytes(1 << 20)
    while True:
        connection = server.accept()[0]
        with connection, contextlib.suppress(OSError):
            if rate:
                connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
            for _ in range(size // len(chunk)):
                connection.sendall(chunk)


def download(player, contender, job, address, size):
    """Bytes per second that a script gets; what it takes to start the script counts for all."""
    script = job.write_script("#!/usr/bin/env bash\n" f"cat </dev/tcp/{address[0]}/{address[1]} | wc -c\n")
    os.chdir(job.directory)
    call = player.call(*contender.run(job, "build_script", script))
    call.check()
    return size / call.seconds


def _network(player, contenders, host, addresses, settings):
    prepare, cpu = ({contender.network: [] for contender in contenders} for _ in range(2))
    rates = {kind: {name: [] for name in (HOST_ITSELF, *prepare)} for kind in SERVED}
    for number in range(-1, settings.rounds):
        settings.progress(f"network, round {number + 1} of {settings.rounds}")
        for contender in rotated(contenders, number):
            played = play_timed(player, contender)
            if number >= 0:
                prepare[contender.network].append(played["stages"]["prepare"])
                cpu[contender.network].append(played["cpu"])
    with contextlib.ExitStack() as stack:
        played = [(contender, stack.enter_context(prepared(contender, player))) for contender in (host, *contenders)]
        for number in range(-1, max(3, settings.rounds)):
            for contender, job in rotated(played, number):
                for kind, (size, _) in SERVED.items():
                    rate = download(player, contender, job, addresses[kind], size)
                    if number >= 0:
                        rates[kind][HOST_ITSELF if contender is host else contender.network].append(rate)
    return {"prepare": prepare, "cpu": cpu, "download": rates}


def network(place, contenders, settings):
    compared = []
    for name in NETWORKS:
        compared.append(Driver(place, "overlay", False))
        compared[-1].network = name
    host = next(contender for contender in contenders if contender.name == "host")
    addresses, pids = {}, []
    try:
        for kind, (size, rate) in SERVED.items():
            with socket.create_server((own_address(), 0)) as server:
                addresses[kind] = server.getsockname()
                pids.append(os.fork())
                if pids[-1] == 0:
                    serve(server, size, rate)
        return in_workers((_network, compared, host, addresses, settings))[0]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


MEASURES = {
    "jobs": (jobs, "whole jobs, one after the other: each stage, CPU time, what outlives cleanup"),
    "empty-run": (empty_run, "one run of an empty script"),
    "throughput": (throughput, "jobs per second with 1, 2, 4 and 8 at once"),
    "leftovers": (leftovers, "what of a job is there when cleanup has returned"),
    "output": (output, "bytes per second through run"),
    "image-size": (image_size, "prepare with a small and a large image"),
    "services": (services, "prepare of a job with no, one and eight services"),
    "network": (network, "prepare and a download with the host's network and with one of the job's own"),
    "memory": (memory, "resident memory of idle jobs, peaks of the driver's processes"),
}
