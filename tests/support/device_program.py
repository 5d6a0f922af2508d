"""Knows how to forbid a device in a cgroup of version 2, as runc and systemd do: by a program in the kernel.

It refuses to know what else such a program could say: one device is forbidden, all others stay as they were.
"""

import ctypes
import os
import platform
import struct
from pathlib import Path

_CALLS = {"x86_64": 321, "aarch64": 280}
_LOAD, _ATTACH, _DETACH = 5, 8, 9
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE_HOOK, _ALLOW_OTHERS = 15, 6, 2
_READ, _SET, _UNLESS_EQUAL, _RETURN = 0x61, 0xB7, 0x55, 0x95
_MAJOR, _MINOR = 4, 8
"""Where struct bpf_cgroup_dev_ctx has them, bytes."""


def forbid(cgroup: Path, major: int, minor: int) -> int:
    """Nothing in the cgroup can open the device from now on; a descriptor for `allow`, to be closed by it."""
    text = b"".join(
        struct.pack("<BBhi", code, target | source << 4, offset, number)
        for code, target, source, offset, number in (
            (_READ, 2, 1, _MAJOR, 0),
            (_READ, 3, 1, _MINOR, 0),
            (_SET, 0, 0, 0, 1),
            (_UNLESS_EQUAL, 2, 0, 2, major),
            (_UNLESS_EQUAL, 3, 0, 1, minor),
            (_SET, 0, 0, 0, 0),
            (_RETURN, 0, 0, 0, 0),
        )
    )
    program, licence = (ctypes.create_string_buffer(data) for data in (text, b"GPL"))
    places = (ctypes.addressof(program), ctypes.addressof(licence))
    loaded = _bpf(_LOAD, struct.pack("<IIQQ", _CGROUP_DEVICE_PROGRAM, len(text) // 8, *places))
    _change(_ATTACH, cgroup, loaded, _ALLOW_OTHERS)
    return loaded


def allow(cgroup: Path, loaded: int) -> None:
    """Take back what `forbid` did."""
    _change(_DETACH, cgroup, loaded, 0)
    os.close(loaded)


def _change(command: int, cgroup: Path, loaded: int, flags: int) -> None:
    folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _bpf(command, struct.pack("<IIII", folder, loaded, _CGROUP_DEVICE_HOOK, flags))
    finally:
        os.close(folder)


def _bpf(command: int, attributes: bytes) -> int:
    """Make the call bpf(2), for which the C library has no function."""
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    library = ctypes.CDLL(None, use_errno=True)
    answer = int(library.syscall(_CALLS[platform.machine()], command, room, 128))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf(2): {os.strerror(number)}")
    return answer
