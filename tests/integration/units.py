# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests ask of the host's systemd that systemctl has no command for."""

import ctypes
from contextlib import contextmanager
from typing import Iterator

MANAGER = (b"org.freedesktop.systemd1", b"/org/freedesktop/systemd1", b"org.freedesktop.systemd1.Manager")


@contextmanager
def kept(unit: str) -> Iterator[None]:
    """systemd does not remove @unit meanwhile, even if it has ended (RefUnit in org.freedesktop.systemd1(5))."""
    systemd, bus = ctypes.CDLL("libsystemd.so.0"), ctypes.c_void_p()
    assert systemd.sd_bus_open_system(ctypes.byref(bus)) >= 0
    try:
        done = systemd.sd_bus_call_method(bus, *MANAGER, b"RefUnit", None, None, b"s", unit.encode())
        assert done >= 0, (unit, done)
        yield
    finally:
        systemd.sd_bus_flush_close_unref(bus)
