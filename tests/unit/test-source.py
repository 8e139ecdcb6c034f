# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees from commands, tarballs and OCI images, hostile ones too.

Called by meson as `python3 test-source.py FILL-SOURCE`; needs root.
"""

import contextlib
import errno
import functools
import hashlib
import http.server
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import ociimage  # noqa: E402
from ociimage import Tar  # noqa: E402

PROGRAM = os.path.abspath(sys.argv.pop(1))


def hostile_members(outside: Path) -> dict[str, Tar]:
    """Archives whose members want out of the tree, each in a way of its own; `evil` is what they would write."""
    up = "../" * 20
    absolute, relative = str(outside), up + str(outside)[1:]
    return {
        "parent": Tar().add(relative + "/evil", b"x"),
        "parent inside": Tar().directory("a").add("a/" + relative + "/evil", b"x"),
        "absolute": Tar().add(absolute + "/evil", b"x"),
        "symlink": Tar().symlink("out", absolute).add("out/evil", b"x"),
        "relative symlink": Tar().symlink("out", relative).add("out/evil", b"x"),
        "symlink chain": Tar().symlink("a", ".").symlink("a/out", up).add("a/out" + absolute + "/evil", b"x"),
        "symlink as file": Tar().symlink("out", absolute + "/evil").add("out", b"x"),
        "symlink as victim": Tar().symlink("out", absolute + "/victim").add("out", b"changed"),
        "directory through symlink": Tar().symlink("out", absolute).directory("out/evil"),
        "directory over symlink": Tar().symlink("out", absolute).directory("out", mode=0o777).add("out/evil", b"x"),
        "hard link": Tar().hardlink("mine", absolute + "/victim").add("mine", b"changed"),
        "relative hard link": Tar().hardlink("mine", relative + "/victim").add("mine", b"changed"),
        "hard link through symlink": Tar().symlink("out", absolute).hardlink("mine", "out/victim")
        .add("mine", b"changed"),
        "hard link to symlink": Tar().symlink("out", absolute + "/victim").hardlink("mine", "out")
        .add("mine", b"changed"),
        "whiteout of parent": Tar().add(".wh..."),
        "whiteout through symlink": Tar().symlink("out", absolute).add("out/.wh.victim"),
        "whiteout of parent directory": Tar().directory("a").add("a/.wh..."),
        "opaque through symlink": Tar().symlink("out", absolute).add("out/.wh..wh..opq"),
        "opaque parent": Tar().add(relative + "/.wh..wh..opq"),
        "whiteout in parent": Tar().add(relative + "/.wh.victim"),
        "etc is the root": Tar().symlink("etc", "/").add("etc" + absolute + "/evil", b"x"),
    }


class Sources(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="nspawn-runner-test-")
        self.addCleanup(self.directory.cleanup)
        self.path = Path(self.directory.name)
        # What must stay as it is, whatever an archive holds.
        self.outside = self.path / "outside"
        self.outside.mkdir(mode=0o755)
        (self.outside / "victim").write_text("unharmed")
        self.number = 0

    def fill(self, kind, *values, old="", **environment):
        """Calls source_fill() for a new tree; returns that, the result, and what was printed."""
        self.number += 1
        target, work = self.path / f"target{self.number}", self.path / f"work{self.number}"
        target.mkdir(mode=0o755)
        work.mkdir(mode=0o700)
        done = subprocess.run([PROGRAM, target, work, old, kind, *map(str, values)], env={**os.environ, **environment},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return target, json.loads(done.stdout), done.stderr

    def filled(self, kind, *values, **more):
        """The same, where it has to succeed."""
        target, result, printed = self.fill(kind, *values, **more)
        self.assertEqual(result["status"], 0, (result, printed))
        return target, result

    def check_outside(self, what):
        self.assertEqual(sorted(os.listdir(self.outside)), ["victim"], what)
        self.assertEqual((self.outside / "victim").read_text(), "unharmed", what)
        self.assertEqual((self.outside / "victim").stat().st_nlink, 1, what)
        self.assertEqual(stat.S_IMODE(self.outside.stat().st_mode), 0o755, what)
        known = ("outside", "target", "work", "a.tar", "layout", "registry", "web")
        self.assertEqual([name for name in os.listdir(self.path) if not name.startswith(known)], [], what)

    def archive(self, tar):
        file = self.path / "a.tar"
        file.write_bytes(tar.bytes())
        return file


class Commands(Sources):
    def test_command(self):
        """It gets the tree in $ROOT, starts beside its definition, and its output is shown."""
        script = 'test -z "$(ls "$ROOT")"; mkdir "$ROOT/bin"; pwd >"$ROOT/bin/pwd"; echo made; echo twice >&2'
        target, result, printed = self.fill("command", script, DIRECTORY=f"{self.outside}")
        self.assertEqual(result["status"], 0, printed)
        self.assertEqual((target / "bin/pwd").read_text(), f"{self.outside}\n")
        self.assertEqual(printed, "made\ntwice\n")
        self.assertTrue(result["description"].startswith("command test -z"))
        self.assertRegex(result["digest"], r"^recipe:[0-9a-f]{16}$")
        for name, mode in (("usr", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            self.assertEqual(stat.S_IMODE((target / name).stat().st_mode), mode, name)

    def test_failure(self):
        _, result, printed = self.fill("command", "echo no mirror; exit 7")
        self.assertEqual((result["status"], printed), (7, "no mirror\n"))

    def test_nothing_made(self):
        _, result, _ = self.fill("command", "true")
        self.assertEqual(result["status"], -22)
        self.assertIn("no root file system", result["problem"])

    def test_trusted(self):
        """The administrator's own command is not restricted."""
        self.filled("command", f'mkdir "$ROOT/bin"; touch {self.path}/work-of-command; test -w /dev/zero')
        self.assertTrue((self.path / "work-of-command").exists())


class Tarballs(Sources):
    def test_contents(self):
        """Owners, modes, links, devices, attributes: everything but what is not the archive's to say."""
        tar = Tar().directory("./", "./bin").add("./bin/x", b"x", mode=0o4711, uid=3000000, gid=77)
        tar.hardlink("./bin/y", "./bin/x").symlink("./bin/z", "/bin/x").add("./fifo", kind=b"6")
        tar.add("./disk", kind=b"4", device=(8, 0), mode=0o666)
        tar.add("./tagged", b"1", xattrs={"user.one": "1", "trusted.nspawn-runner.generation": "9",
                                          "trusted.overlay.opaque": "y"})
        file = self.archive(tar)
        target, result = self.filled("tarball", file)
        x = (target / "bin/x").lstat()
        self.assertEqual((stat.S_IMODE(x.st_mode), x.st_uid, x.st_gid, x.st_nlink), (0o4711, 3000000, 77, 2))
        self.assertEqual(x.st_mtime, 1700000000)
        self.assertEqual(os.readlink(target / "bin/z"), "/bin/x")
        self.assertTrue(stat.S_ISFIFO((target / "fifo").stat().st_mode))
        self.assertEqual((target / "disk").stat().st_rdev, os.makedev(8, 0))
        self.assertEqual(os.listxattr(target / "tagged"), ["user.one"])
        self.assertEqual(result["digest"], "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest())
        self.assertEqual(result["description"], f"tarball {file}")

    def test_compressed(self):
        for suffix in ("gz", "xz"):
            file = self.archive(ociimage.busybox_tar())
            subprocess.run(["gzip" if suffix == "gz" else "xz", "-1kf", file], check=True)
            target, _ = self.filled("tarball", f"{file}.{suffix}")
            self.assertTrue((target / "bin/busybox").exists())

    def test_sha256(self):
        """Nothing is unpacked of an archive with another digest."""
        file = self.archive(ociimage.busybox_tar())
        right = hashlib.sha256(file.read_bytes()).hexdigest()
        self.filled("tarball", file, right)
        target, result, _ = self.fill("tarball", file, "0" * 64)
        self.assertEqual(result["status"], -22)
        self.assertIn(right, result["problem"])
        self.assertEqual(os.listdir(target), [])

    def test_unchanged(self):
        file = self.archive(ociimage.busybox_tar())
        _, first = self.filled("tarball", file)
        target, second = self.filled("tarball", file, old=first["digest"])
        self.assertTrue(second["unchanged"])
        self.assertEqual((second["digest"], os.listdir(target)), (first["digest"], []))
        target, third = self.filled("tarball", file, old="sha256:other")
        self.assertFalse(third["unchanged"])
        self.assertTrue((target / "bin").is_dir())

    def test_broken(self):
        for data in (b"", b"no archive", self.archive(ociimage.busybox_tar()).read_bytes()[:5000]):
            (self.path / "a.tar").write_bytes(data)
            _, result, printed = self.fill("tarball", self.path / "a.tar")
            self.assertNotEqual(result["status"], 0, printed)
        _, result, _ = self.fill("tarball", self.path / "missing.tar")
        self.assertEqual(result["status"], -22)
        self.assertIn("missing.tar", result["problem"])

    def test_hostile(self):
        for what, tar in hostile_members(self.outside).items():
            with self.subTest(what):
                self.fill("tarball", self.archive(tar.directory("bin")))
                self.check_outside(what)

    def test_download(self):
        """From a web server: through redirections, by digest, with its errors."""
        web = self.path / "web"
        web.mkdir()
        data = ociimage.busybox_tar().bytes()
        (web / "a.tar").write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()

        work = os.fsencode(self.path)

        class Handler(http.server.SimpleHTTPRequestHandler):
            requests = []
            arguments = []  # of our curl, meanwhile

            def do_GET(self):
                self.requests.append(self.path)
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    with contextlib.suppress(OSError):
                        line = path.read_bytes()
                        if line.startswith(b"curl\0") and work in line:
                            self.arguments.append(line)
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/a.tar")
                    self.end_headers()
                elif self.path == "/file":
                    self.send_response(302)
                    self.send_header("Location", f"file://{web}/a.tar")
                    self.end_headers()
                elif self.path == "/cut":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data[:1000])
                else:
                    super().do_GET()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(web)))
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        direct = {"no_proxy": "127.0.0.1"}

        for path in ("/a.tar", "/moved"):
            target, result = self.filled("tarball", url + path, sha256, **direct)
            self.assertTrue((target / "bin/busybox").exists())
            self.assertEqual(result["digest"], "sha256:" + sha256)

        seen = len(Handler.requests)
        _, result = self.filled("tarball", url + "/a.tar", sha256, old="sha256:" + sha256, **direct)
        self.assertTrue(result["unchanged"])
        self.assertEqual(len(Handler.requests), seen)

        _, result, printed = self.fill("tarball", url + "/missing", sha256, **direct)
        self.assertGreater(result["status"], 0)
        self.assertIn("404", printed)
        for path in ("/cut", "/file"):
            target, result, printed = self.fill("tarball", url + path, sha256, **direct)
            self.assertGreater(result["status"], 0, printed)
            self.assertEqual(os.listdir(target), [])
        target, result, _ = self.fill("tarball", url + "/a.tar", "0" * 64, **direct)
        self.assertEqual((result["status"], os.listdir(target)), (-22, []))

        Handler.arguments.clear()
        secret = url.replace("://", "://user:secret@")
        _, result = self.filled("tarball", secret + "/a.tar", sha256, **direct)
        self.assertEqual(result["description"], f"tarball {url}/a.tar")
        _, result, printed = self.fill("tarball", secret + "/a.tar", "0" * 64, **direct)
        self.assertIn("does not have the SHA-256", str(result) + printed)
        self.assertNotIn("secret", str(result) + printed)
        self.assertTrue(Handler.arguments)
        self.assertEqual([line for line in Handler.arguments if b"secret" in line], [])


# What a program that was taken over tries, one line each; the names of those that succeeded are printed.
ATTEMPTS = """\
#!/usr/bin/python3
import ctypes, errno, os, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
STREAM = socket.SOCK_STREAM

def system_call(name, *arguments):
    numbers = {"x86_64": NUMBERS_X86_64, "aarch64": NUMBERS_AARCH64}[os.uname().machine]
    result = libc.syscall(numbers[name], *arguments)
    # Anything but a refusal is a system call that is there.
    if result < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), name)

# Of the generic table, which newer calls share among architectures.
NEW = {"io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "clone3": 435, "pidfd_getfd": 438}
NUMBERS_X86_64 = dict(NEW, bpf=321, keyctl=250, unshare=272, open_by_handle_at=304, ptrace=101, userfaultfd=323,
                      perf_event_open=298, process_vm_readv=310, setns=308, mount=165, chroot=161)
NUMBERS_AARCH64 = dict(NEW, bpf=280, keyctl=219, unshare=97, open_by_handle_at=265, ptrace=117, userfaultfd=282,
                       perf_event_open=241, process_vm_readv=270, setns=268, mount=40, chroot=51)

def connect(family, address):
    socket.socket(family, STREAM).connect(address)

def see(path):
    os.lstat(path)

def read(path):
    open(path, "rb").read(1)

def device():
    os.mknod(os.environ["TMPDIR"] + "/node", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.unlink(os.environ["TMPDIR"] + "/node")

def clone():
    if libc.fork() == 0:
        os._exit(0)
    # CLONE_NEWUSER | SIGCHLD, as Go and libc call it
    system_call_clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    pid = libc.syscall(system_call_clone, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")

attempts = {
    "unix socket": lambda: socket.socket(socket.AF_UNIX, STREAM),
    "host's socket": lambda: connect(socket.AF_UNIX, "@PATH@/work-socket"),
    "abstract socket": lambda: connect(socket.AF_UNIX, "\\0@ABSTRACT@"),
    "internet socket": lambda: socket.socket(socket.AF_INET, STREAM),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "vsock socket": lambda: socket.socket(socket.AF_VSOCK, STREAM),
    "crypto socket": lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET),
    "clone": clone,
    "device": device,
    "chown": lambda: os.chown(os.environ["TMPDIR"], 1000, 1000),
    "setuid": lambda: os.seteuid(1000),
    "environment of process 1": lambda: read("/proc/1/environ"),
    "memory of process 1": lambda: read("/proc/1/mem"),
    "files of process 1": lambda: os.readlink("/proc/1/fd/2"),
    "root of process 1": lambda: os.listdir("/proc/1/root"),
    **{name: lambda name=name: system_call(name, 0, 0, 0, 0, 0, 0) for name in NUMBERS_X86_64},
    **{path: lambda path=path: see(path) for path in (
        "/etc/shadow", "/etc/passwd", "/etc/ssh", "/etc/ssl/private", "/etc/machine-id", "/run", "/run/systemd", "/root",
        "/home", "/var", "/tmp", "/sys", "/boot", "/mnt", "/opt", "/srv", "/dev/kmsg", "/dev/shm", "/dev/loop-control",
        "@PATH@/outside", "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/containers", "/usr/bin", "/bin/sh",
        "/dev/urandom")},
}
for name, attempt in attempts.items():
    try:
        attempt()
        print("did", name)
    except OSError as error:
        pass
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print("status", *(status[name].strip().lstrip("0") for name in ("CapBnd", "CapEff", "NoNewPrivs", "Seccomp")))
sys.exit(7)
"""

# What each program may do of it: see that the host's system is there.
ALWAYS = {"/etc/ld.so.cache", "/usr/bin", "/bin/sh", "/dev/urandom"}


class Confinement(Sources):
    """What an unpacker may do that an archive has taken over: tar is a script of ours here."""

    def attempts(self, program, kind, *values):
        """What @program can do as that, and what the kernel says of its privileges. It fails in the end."""
        tools = self.path / "work-tools"
        tools.mkdir(exist_ok=True)
        name = f"nspawn-runner-test-{os.getpid()}"
        (tools / program).write_text(ATTEMPTS.replace("@PATH@", str(self.path)).replace("@ABSTRACT@", name))
        (tools / program).chmod(0o755)
        (self.path / "work-socket").unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as path, socket.socket(socket.AF_UNIX) as abstract:
            path.bind(str(self.path / "work-socket"))
            abstract.bind("\0" + name)
            for listener in (path, abstract):
                listener.listen()
            _, _, printed = self.fill(kind, *values, PATH=f"{tools}:{os.environ['PATH']}")
        lines = printed.splitlines()
        self.assertTrue(lines and lines[-1].startswith("status"), printed)
        self.assertEqual([line for line in lines[:-1] if not line.startswith("did ")], [], printed)
        # The directories above those that it writes to are there, with nothing else in them.
        above = {str(path) for path in self.path.parents}
        return {line.removeprefix("did ") for line in lines[:-1]} - above, lines[-1].removeprefix("status ")

    @staticmethod
    def of_skopeo():
        """What it sees beside that, with the directories above."""
        files = ("/etc/containers", "/var/lib/containers/sigstore", "/run/containers/0/auth.json",
                 "/root/.config/containers", "/root/.docker/config.json")
        there = [Path(file) for file in files if os.path.exists(file)]
        return {str(path) for file in there for path in (file, *file.parents)}

    def test_attempts_of_unpacker(self):
        """No socket at all, no other file of the host's, no privilege but about files."""
        did, status = self.attempts("tar", "tarball", self.archive(ociimage.busybox_tar()))
        self.assertEqual(did - ALWAYS, {"device", "chown"})
        self.assertLessEqual(ALWAYS, did)
        self.assertEqual(status, "8800001b 8800001b 1 2")

    def test_attempts_of_fetcher(self):
        """The internet, and what is needed for that; nothing about files but to read and write them."""
        did, status = self.attempts("curl", "tarball", "http://127.0.0.1:9/x", "0" * 64)
        self.assertEqual(did - ALWAYS, {"internet socket", "/etc/resolv.conf"})
        self.assertEqual(status, "2 2 1 2")
        did, status = self.attempts("skopeo", "oci", "docker://127.0.0.1:9/x:1")
        self.assertEqual(did - ALWAYS - self.of_skopeo(), {"internet socket", "/etc/resolv.conf"})
        self.assertEqual(status, "2 2 1 2")

    def test_attempts_on_directory(self):
        """What is fetched from a directory of this host needs no network."""
        ociimage.busybox_layout(self.path / "layout")
        did, _ = self.attempts("skopeo", "oci", f"oci:{self.path}/layout:image")
        self.assertEqual(did - ALWAYS - self.of_skopeo(), set())

    def run_as_tar(self, script):
        tools = self.path / "work-tools"
        tools.mkdir(exist_ok=True)
        (tools / "tar").write_text("#!/bin/sh\n" + script)
        (tools / "tar").chmod(0o755)
        file = self.archive(ociimage.busybox_tar())
        return self.fill("tarball", file, PATH=f"{tools}:{os.environ['PATH']}", OUT=str(self.outside))

    def test_nothing_is_writable(self):
        script = f"""
        for directory in / /etc /usr /tmp /var/tmp /root /run /dev /proc/sys/kernel /sys {self.path} {self.outside}; do
                if touch "$directory/evil" 2>/dev/null; then echo "wrote to $directory"; fi
        done
        if echo x 2>/dev/null >{self.outside}/victim; then echo "changed the victim"; fi
        if mount -o remount,rw,bind / 2>/dev/null || mount -t tmpfs none /mnt 2>/dev/null; then echo mounted; fi
        mknod {self.path}/target1/null c 1 3 && if echo x 2>/dev/null >{self.path}/target1/null; then echo device; fi
        if ls /dev/loop-control /dev/kmsg 2>/dev/null; then :; fi
        if grep -v lo: /proc/net/dev | grep :; then echo network; fi
        kill -9 {os.getpid()} 2>/dev/null && echo killed
        if [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 10 ]; then echo processes; fi
        echo x >/dev/null && mkdir {self.path}/target1/bin && touch {self.path}/work1/fine && echo end
        """
        target, result, printed = self.run_as_tar(script)
        self.assertEqual(printed, "end\n")
        self.assertEqual(result["status"], 0)
        self.check_outside("script")

    def test_no_trusted_attributes(self):
        script = (f"mkdir {self.path}/target1/bin; exec python3 -c 'import os; "
                  f'os.setxattr("{self.path}/target1", "trusted.nspawn-runner.generation", b"9")\'')
        _, result, printed = self.run_as_tar(script)
        self.assertIn("Operation not permitted", printed)
        self.assertGreater(result["status"], 0)


class Sizes(Sources):
    """What takes up more than it may is stopped, wherever its size shows."""

    LIMIT = 8 << 20

    def check(self, kind, *values, too_large=True):
        target, result, printed = self.fill(kind, *values, MAX_BYTES=str(self.LIMIT))
        self.assertEqual(result["status"], -errno.EDQUOT if too_large else 0, (result, printed))
        return target, printed

    def layout(self, *members, **more):
        subprocess.run(["rm", "-rf", self.path / "layout"], check=True)
        tar = ociimage.busybox_tar()
        for name, data in members:
            tar.add(name, data)
        ociimage.write_layout(self.path / "layout", [tar.bytes()])
        return self.check("oci", f"oci:{self.path}/layout:image", **more)

    def test_fits(self):
        """The limit is for what is fetched and for the tree, each by itself."""
        self.layout(("data", os.urandom(self.LIMIT // 2)), too_large=False)

    def test_layers(self):
        target, printed = self.layout(("data", os.urandom(self.LIMIT + 1)))
        self.assertEqual(os.listdir(target), [], printed)

    def test_bomb(self):
        """A small layer that becomes a large tree; and a program that would never end is stopped meanwhile."""
        _, printed = self.layout(("bomb", bytes(64 << 20)))
        self.assertIn("unpacking rootfs", printed)
        tools = self.path / "work-tools"
        tools.mkdir()
        (tools / "tar").write_text(f"#!/bin/sh\nexec cat /dev/zero >{self.path}/target{self.number + 1}/endless\n")
        (tools / "tar").chmod(0o755)
        _, result, printed = self.fill("tarball", self.archive(ociimage.busybox_tar()), MAX_BYTES=str(self.LIMIT),
                                       PATH=f"{tools}:{os.environ['PATH']}")
        self.assertEqual(result["status"], -errno.EDQUOT, (result, printed))

    def test_many_files(self):
        """Empty ones take up room, too."""
        self.layout(*((f"dir/{number}", b"") for number in range(self.LIMIT // 4096)))

    def test_deep(self):
        self.layout(("d/" * 300 + "f", b""))

    def test_download(self):
        """A web server that sends more than it should."""
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(bytes(65536))
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, result, printed = self.fill("tarball", f"http://127.0.0.1:{server.server_port}/endless", "0" * 64,
                                       MAX_BYTES=str(self.LIMIT), no_proxy="127.0.0.1")
        self.assertEqual(result["status"], -errno.EDQUOT, (result, printed))

    def test_manifest(self):
        """A registry is asked for it first."""
        with ociimage.registry(self.path / "registry") as registry:
            environment = {**registry.environment(), "MAX_BYTES": str(self.LIMIT)}
            layout = self.path / "layout"
            ociimage.write_layout(layout, [ociimage.busybox_tar().add("data", os.urandom(self.LIMIT)).bytes()])
            large = registry.push(layout, "group/large:1")
            subprocess.run(["rm", "-rf", layout], check=True)
            ociimage.busybox_layout(layout)
            small = registry.push(layout, "group/small:1")
            self.filled("oci", "docker://" + small, **environment)
            before = registry.count("/blobs/")
            _, result, printed = self.fill("oci", "docker://" + large, **environment)
            self.assertEqual(result["status"], -errno.EDQUOT, (result, printed))
            # To find out the digest, skopeo reads the configuration.
            self.assertLessEqual(registry.count("/blobs/") - before, 1)


class OciImages(Sources):
    def setUp(self):
        super().setUp()
        self.layout = self.path / "layout"

    def test_contents(self):
        """Two layers: whiteouts, links, modes, owners, the configuration."""
        digest = ociimage.busybox_layout(self.layout, Env=["A=b", "EMPTY=", "=x", "none", "C=d=e"], User="builder",
                                         WorkingDir="/srv/work", Entrypoint=["/bin/false"], Cmd=["x"])
        target, result = self.filled("oci", f"oci:{self.layout}:image")
        self.assertEqual((result["digest"], result["user"], result["working_dir"], result["env"]),
                         (digest, "builder", "/srv/work", ["A=b", "EMPTY=", "C=d=e"]))
        self.assertEqual(sorted(os.listdir(target / "dir")), ["stays"])
        self.assertEqual(sorted(os.listdir(target / "opaque")), ["new"])
        self.assertEqual(stat.S_IMODE((target / "bin/set-user-id").stat().st_mode), 0o4755)
        self.assertTrue(os.path.samefile(target / "first", target / "second"))
        self.assertTrue(os.path.samefile(target / "bin/sh", target / "bin/busybox"))
        self.assertEqual((target / "etc/release").stat().st_uid, 1000)
        self.assertTrue((target / "usr").is_dir())

    def test_no_configuration(self):
        ociimage.busybox_layout(self.layout)
        _, result = self.filled("oci", f"oci:{self.layout}:image")
        self.assertEqual((result["env"], result.get("user"), result.get("working_dir")), ([], None, None))

    def test_unchanged(self):
        first = ociimage.busybox_layout(self.layout)
        target, result = self.filled("oci", f"oci:{self.layout}:image", old=first)
        self.assertTrue(result["unchanged"])
        self.assertEqual((result["digest"], os.listdir(target)), (first, []))
        second = ociimage.busybox_layout(self.layout, lambda tar: tar.add("third", b"3"))
        target, result = self.filled("oci", f"oci:{self.layout}:image", old=first)
        self.assertEqual((result["digest"], (target / "third").read_text()), (second, "3"))

    def test_devices_and_attributes(self):
        ociimage.busybox_layout(self.layout, lambda tar: tar.add("disk", kind=b"4", device=(8, 0), mode=0o666).add(
            "tagged", b"1", xattrs={"user.one": "1", "trusted.overlay.opaque": "y", "security.selinux": "a:b:c"}))
        target, _ = self.filled("oci", f"oci:{self.layout}:image")
        self.assertEqual(os.listxattr(target / "tagged"), ["user.one"])
        self.assertEqual((target / "disk").stat().st_rdev, os.makedev(8, 0))

    def test_our_attribute(self):
        """An image that says which generation of ours it is."""
        ociimage.busybox_layout(self.layout, lambda tar: tar.add("tagged", xattrs={
            "trusted.nspawn-runner.generation": "9"}))
        _, result, printed = self.fill("oci", f"oci:{self.layout}:image")
        self.assertGreater(result["status"], 0)
        self.assertIn("operation not permitted", printed)

    def test_hostile(self):
        base = ociimage.busybox_tar(b"small").bytes()
        for what, tar in hostile_members(self.outside).items():
            with self.subTest(what):
                subprocess.run(["rm", "-rf", self.layout], check=True)
                ociimage.write_layout(self.layout, [base, tar.bytes()])
                self.fill("oci", f"oci:{self.layout}:image")
                self.check_outside(what)

    def test_broken(self):
        digest = ociimage.busybox_layout(self.layout)
        blob = self.layout / "blobs/sha256" / digest.partition(":")[2]
        for path in (blob, self.layout / "index.json"):
            text = path.read_bytes()
            path.write_bytes(text[:-20])
            _, result, printed = self.fill("oci", f"oci:{self.layout}:image")
            self.assertGreater(result["status"], 0)
            self.assertTrue(printed)
            path.write_bytes(text)
        _, result, printed = self.fill("oci", f"oci:{self.path}/layout-missing:image")
        self.assertGreater(result["status"], 0)

    def test_replaced_layer(self):
        """A layer whose content is not what its digest says."""
        ociimage.busybox_layout(self.layout)
        layers = sorted((self.layout / "blobs/sha256").iterdir(), key=lambda file: -file.stat().st_size)
        other = ociimage.Tar().directory("bin").bytes()
        layers[0].write_bytes(other)
        _, result, _ = self.fill("oci", f"oci:{self.layout}:image")
        self.assertGreater(result["status"], 0)

    def test_registry(self):
        """By tag and by digest, with credentials from the usual file, and only if the digest changed."""
        digest = ociimage.busybox_layout(self.layout, Env=["A=b"])
        for password in (False, True):
            with ociimage.registry(self.path / f"registry{password}", password) as registry:
                reference = "docker://" + registry.push(self.layout, "group/busybox:1")
                environment = registry.environment()
                target, result = self.filled("oci", reference, **environment)
                self.assertEqual((result["digest"], result["env"]), (digest, ["A=b"]))
                self.assertEqual(result["description"], "oci " + reference)
                self.assertTrue((target / "bin/busybox").exists())
                _, result = self.filled("oci", reference, old=digest, **environment)
                self.assertTrue(result["unchanged"])
                repository = reference.rpartition(":")[0]
                for by_digest in (f"{repository}@{digest}", f"{reference}@{digest}"):
                    _, result = self.filled("oci", by_digest, **environment)
                    self.assertEqual(result["digest"], digest)
                _, result, printed = self.fill("oci", repository + ":2", **environment)
                self.assertGreater(result["status"], 0)
                self.assertIn("manifest unknown", printed)
                if password:
                    _, result, printed = self.fill("oci", reference, **registry.environment(credentials=False))
                    self.assertGreater(result["status"], 0)
                    self.assertRegex(printed, "unauthorized|authentication required")
                registry.stop()
                _, result, printed = self.fill("oci", reference, **environment)
                self.assertGreater(result["status"], 0)
                self.assertIn("refused", printed)


if __name__ == "__main__":
    if os.geteuid() != 0 or ociimage.missing():
        print("NOT RUN: test-source.py:", "not root" if os.geteuid() else f"not installed: {ociimage.missing()}")
        sys.exit(77)
    unittest.main()
