# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the test's own, as far as its network goes: a network namespace in which the driver runs, with a way to another
one that stands for the rest of the world. Nothing of it is seen outside."""

import ctypes
import os
import select
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable
from pace import wait_until

CLONE_NEWNET = 0x40000000
NAMES = Path("/run/netns")

# What both ends have. The world has an address that is far away, and the one where clouds answer about their machines.
HOST, ROUTER, FAR, METADATA = "192.168.77.2", "192.168.77.1", "203.0.113.5", "169.254.169.254"
CLOUDS = "168.63.129.16", "100.100.100.200", "fd00:ec2::254"  # where others do that
HOST6, ROUTER6, FAR6 = "2001:db8:77::2", "2001:db8:77::1", "2001:db8:5::5"


def enter(namespace: Path) -> None:
    """Moves this thread into a network namespace."""
    with open(namespace, "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")


def inside(namespace: Path, function: Callable[[], Any]) -> Any:
    """Calls a function in a network namespace. Sockets that it makes stay there."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            enter(namespace)
            result.append(function())
        except BaseException as error:  # pylint: disable=broad-exception-caught
            failure.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def start_all(*functions: Callable[[], None]) -> list[threading.Thread]:
    """Runs each in a thread of its own."""
    threads = [threading.Thread(target=function, daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def end_all(sockets: list[socket.socket], threads: list[threading.Thread]) -> None:
    """Closes what threads wait at when they have noticed. Before that its number could be that of a new pipe, which stays open
    for as long as a thread waits at it."""
    for server in sockets:
        try:
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # without a connection; who waits is woken all the same
    for thread in threads:
        thread.join()
    for server in sockets:
        server.close()


class Greeter:
    """A server that says its name to each caller, and where the caller is. Over UDP, to each who says something."""

    def __init__(self, namespace: Path, address: str, port: int, name: str, kind: int = socket.SOCK_STREAM):
        self.name = name.encode()
        family = socket.AF_UNIX if address[:1] == "\0" else socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = inside(namespace, lambda: socket.socket(family, kind))
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(address if family == socket.AF_UNIX else (address, port))
        self.callers: list[str] = []
        if kind == socket.SOCK_STREAM:
            self.socket.listen(64)
        self.threads = start_all(self.serve if kind == socket.SOCK_STREAM else self.serve_udp)

    def serve(self) -> None:
        """Greets until close()."""
        try:
            while True:
                connection, caller = self.socket.accept()
                self.callers.append(caller[0] if isinstance(caller, tuple) else "")
                connection.sendall(self.name)
                connection.close()
        except OSError:
            pass

    def serve_udp(self) -> None:
        """Answers until close()."""
        try:
            while True:
                _, caller = self.socket.recvfrom(4096)
                if not caller:  # shut down
                    return
                self.callers.append(caller[0])
                self.socket.sendto(self.name, caller)
        except OSError:
            pass

    def close(self) -> None:
        """Ends it."""
        end_all([self.socket], self.threads)


class NameServer:
    """Knows one address for all names, and tells it, like systemd-resolved on 127.0.0.53. Who asks for a name that begins with
    "long" over UDP is told to ask again over TCP."""

    def __init__(self, namespace: Path, address: str, answer: str):
        self.answer = answer
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sockets = [inside(namespace, lambda kind=kind: socket.socket(family, kind))
                        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        where = inside(namespace, lambda: socket.getaddrinfo(address, 53, family, socket.SOCK_DGRAM)[0][4])
        for server in self.sockets:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(where)
        self.sockets[1].listen()
        self.names: list[str] = []
        self.ports: set[int] = set()  # where questions over UDP came from
        self.most_at_once = 0  # connections that were open
        self.threads = start_all(self.serve_udp, self.serve_tcp)

    def reply(self, question: bytes, tcp: bool) -> bytes:
        """To a question for an address of IPv4; to others there is no answer."""
        end = question.index(bytes(1), 12)
        name, at = [], 12
        while at < end:
            name.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        self.names.append(".".join(name))
        is_a, truncated = question[end + 1:end + 3] == b"\0\1", name[:1] == ["long"] and not tcp
        head = question[:2] + (b"\x87\x80" if truncated else b"\x85\x80") + b"\0\1"
        head += (b"\0\1" if is_a and not truncated else bytes(2)) + bytes(4) + question[12:end + 5]
        return head + (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(self.answer) if is_a and not truncated else b"")

    def serve_udp(self) -> None:
        """Answers until close()."""
        try:
            while True:
                question, caller = self.sockets[0].recvfrom(4096)
                if not caller:
                    return
                self.ports.add(caller[1])
                self.sockets[0].sendto(self.reply(question, False), caller)
        except OSError:
            pass

    def serve_tcp(self) -> None:
        """Answers until close(), all questions of each caller."""
        callers: dict[socket.socket, bytes] = {}
        try:
            while True:
                for ready in select.select([self.sockets[1], *callers], [], [])[0]:
                    if ready is self.sockets[1]:
                        callers[ready.accept()[0]] = b""
                    elif not (more := ready.recv(65536)):
                        ready.close()
                        del callers[ready]
                    else:
                        callers[ready] = self.reply_all(ready, callers[ready] + more)
                self.most_at_once = max(self.most_at_once, len(callers))
        except (OSError, ValueError):
            pass
        finally:
            for caller in callers:
                caller.close()

    def reply_all(self, caller: socket.socket, data: bytes) -> bytes:
        """Answers the questions that are complete, and returns what is left."""
        while len(data) >= 2 and len(data) >= 2 + int.from_bytes(data[:2], "big"):
            end = 2 + int.from_bytes(data[:2], "big")
            reply = self.reply(data[2:end], True)
            caller.sendall(len(reply).to_bytes(2, "big") + reply)
            data = data[end:]
        return data

    def close(self) -> None:
        """Ends it."""
        end_all(self.sockets, self.threads)


class World:
    """Two namespaces, `host` and `far`, with IPv4 and, if wanted, IPv6 between them."""

    def __init__(self, ipv6: bool = True):
        self.names = [f"nspr-test-{os.getpid()}-{id(self):x}-{end}" for end in ("host", "far")]
        self.host, self.far = (NAMES / name for name in self.names)
        self.greeters: list[Greeter | NameServer] = []
        self.resolver: Path | None = None  # what the host has for /etc/resolv.conf
        for name in self.names:
            self.ip("netns", "add", name)
        self.forget()
        # A new network namespace begins with what the machine has, which jobs on it may have changed.
        inside(self.host, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("0", encoding="ascii"))
        self.ip("-n", self.names[0], "link", "add", "uplink", "type", "veth", "peer", "name", "uplink", "netns",
                self.names[1])
        for name, address, address6 in ((self.names[0], HOST, HOST6), (self.names[1], ROUTER, ROUTER6)):
            self.ip("-n", name, "link", "set", "lo", "up")
            self.ip("-n", name, "address", "add", f"{address}/24", "dev", "uplink")
            if ipv6:
                self.ip("-n", name, "address", "add", f"{address6}/64", "dev", "uplink", "nodad")
            self.ip("-n", name, "link", "set", "uplink", "up")
        for address in (FAR, METADATA, FAR6, *CLOUDS):
            self.ip("-n", self.names[1], "address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        self.host_ip("route", "add", "default", "via", ROUTER)
        if ipv6:
            self.host_ip("-6", "route", "add", "default", "via", ROUTER6)

    def forget(self) -> None:
        """What the driver remembers of a network: the kernel uses the numbers of namespaces again."""
        Path(f"/run/nspawn-runner/network-blocked-{self.host.stat().st_ino}").unlink(missing_ok=True)

    @staticmethod
    def ip(*arguments: str) -> str:
        """ip(8)."""
        return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout

    def host_ip(self, *arguments: str) -> str:
        """ip(8) on the host."""
        return self.ip("-n", self.names[0], *arguments)

    @property
    def wrapper(self) -> list[str]:
        """What a command on the host begins with."""
        enter_host = ["nsenter", f"--net={self.host}", "--"]
        if not self.resolver:
            return enter_host
        mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "--propagation=slave", "sh", "-ec", mount, str(self.resolver), *enter_host]

    def nft(self, *commands: str) -> str:
        """nft(8) on the host."""
        return subprocess.run([*self.wrapper, "nft", "-f", "-"], input="\n".join(commands) + "\n", text=True, check=True,
                              capture_output=True).stdout

    def interfaces(self) -> list[str]:
        """The interfaces of jobs that the host has."""
        names = [line.split()[1].split("@")[0] for line in self.host_ip("-o", "link").splitlines()]
        return [name for name in names if name.startswith("nspr-")]

    def wait_until_gone(self) -> None:
        """The kernel takes its time to remove a network namespace that nobody uses any more."""
        wait_until(lambda: not self.interfaces())

    def greet(self, namespace: Path, address: str, port: int, name: str, kind: int = socket.SOCK_STREAM) -> Greeter:
        """Starts a server there."""
        greeter = Greeter(namespace, address, port, name, kind)
        self.greeters.append(greeter)
        return greeter

    def name_server(self, namespace: Path, address: str, answer: str) -> NameServer:
        """Starts a server that knows one address."""
        server = NameServer(namespace, address, answer)
        self.greeters.append(server)
        return server

    def close(self) -> None:
        """Removes all of it."""
        for greeter in self.greeters:
            greeter.close()
        self.forget()
        for name in self.names:
            self.ip("netns", "delete", name)
