"""System calls that no job needs and that kernels have been broken with, refused.

A classic BPF program for seccomp (Linux `Documentation/userspace-api/seccomp_filter.rst`): a list
of refusals on top of namespaces, not the wall itself. New namespaces, foreign address spaces,
mounts, keys, tracing, io_uring, BPF and clocks answer EPERM; sockets other than local ones
EAFNOSUPPORT. Numbers are those of `asm/unistd_64.h` and `asm-generic/unistd.h`.
"""

import platform
import struct
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT, _SECOND_ARGUMENT_AT = 0, 4, 16, 24
_NEW_NAMESPACES: Final = 0x7E020000
_X32: Final = 0x40000000
_LOCAL_SOCKET: Final = 1
_TERMINAL_INPUT: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: typing into the terminal of whoever started us."""

_ALIKE: Final = (*range(425, 434), 438, 442)
"""The same number everywhere: io_uring_*, the new mount calls, pidfd_getfd, mount_setattr."""

_REFUSED: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        # ptrace personality adjtimex pivot_root chroot acct settimeofday mount umount2 swapon
        # swapoff reboot iopl ioperm init_module delete_module quotactl syslog vhangup
        # clock_settime mbind set_mempolicy kexec_load add_key request_key keyctl migrate_pages
        # unshare move_pages perf_event_open fanotify_init name_to_handle_at open_by_handle_at
        # clock_adjtime setns process_vm_readv process_vm_writev kcmp finit_module
        # kexec_file_load bpf userfaultfd
        "x86_64": (
            *(101, 135, 159, 155, 161, 163, 164, 165, 166, 167, 168, 169, 172, 173, 175, 176),
            *(179, 103, 153, 227, 237, 238, 246, 248, 249, 250, 256, 272, 279, 298, 300, 303),
            *(304, 305, 308, 310, 311, 312, 313, 320, 321, 323),
        ),
        "aarch64": (
            *(117, 92, 171, 41, 51, 89, 170, 40, 39, 224, 225, 142, 105, 106, 60, 116, 58, 112),
            *(235, 237, 104, 217, 218, 219, 238, 97, 239, 241, 262, 264, 265, 266, 268, 270),
            *(271, 272, 273, 294, 280, 282),
        ),
    }
)

_ARCHITECTURES: Final = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})
_CLONE: Final = MappingProxyType({"x86_64": 56, "aarch64": 220})
_SOCKET: Final = MappingProxyType({"x86_64": 41, "aarch64": 198})
_IOCTL: Final = MappingProxyType({"x86_64": 16, "aarch64": 29})
_CLONE3: Final = 435


def build_filter(machine: str | None = None) -> bytes | None:
    """The program for this machine, or None for a machine whose numbers are not known here."""
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        return None
    program = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_IF_EQUAL, _ARCHITECTURES[machine], then=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        _step(_IF_AT_LEAST, _X32, otherwise=1),
        _step(_RETURN, _FAIL | _ENOSYS),
        # Its flags lie in memory, out of a filter's sight; libraries fall back to clone.
        *_if_number(_CLONE3, [_step(_RETURN, _FAIL | _ENOSYS)]),
        *_if_number(
            _CLONE[machine],
            [
                _step(_LOAD, _FIRST_ARGUMENT_AT),
                _step(_IF_ANY_BIT, _NEW_NAMESPACES, otherwise=1),
                _step(_RETURN, _FAIL | _EPERM),
                _step(_RETURN, _ALLOW),
            ],
        ),
        *_if_number(
            _SOCKET[machine],
            [
                _step(_LOAD, _FIRST_ARGUMENT_AT),
                _step(_IF_EQUAL, _LOCAL_SOCKET, then=1),
                _step(_RETURN, _FAIL | _EAFNOSUPPORT),
                _step(_RETURN, _ALLOW),
            ],
        ),
        *_if_number(
            _IOCTL[machine],
            [
                _step(_LOAD, _SECOND_ARGUMENT_AT),
                _step(_IF_EQUAL, _TERMINAL_INPUT[0], then=1),
                _step(_IF_EQUAL, _TERMINAL_INPUT[1], otherwise=1),
                _step(_RETURN, _FAIL | _EPERM),
                _step(_RETURN, _ALLOW),
            ],
        ),
    ]
    for number in (*_REFUSED[machine], *_ALIKE):
        program += _if_number(number, [_step(_RETURN, _FAIL | _EPERM)])
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _if_number(number: int, body: Sequence[bytes]) -> list[bytes]:
    return [_step(_IF_EQUAL, number, otherwise=len(body)), *body]


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, otherwise, value)
