"""What a hostile job tries, each by name: a piece of Python that succeeds where nothing stops it.

The names in capitals are the machine's, filled in by the test: a file of another job, a port on
which the machine listens, the number of one of its processes. In kernels of their own, calls that
are `harmless_inside` may succeed: they change nothing but that kernel.
"""

from dataclasses import dataclass

HEAD = """
import ctypes, os, resource, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
OUT = sys.argv[sys.argv.index('--out') + 1]
JOB = sys.argv[sys.argv.index('--job') + 1]
DATA = sys.argv[sys.argv.index('--data') + 1]

def call(*arguments):
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(*given)
    if result < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return result

def in_child(action):
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException as error:
            os._exit(getattr(error, 'errno', None) or 99)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, 'refused')

def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(5)
        s.connect(address)
        assert s.recv(8) == b'machine'

def ask(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.sendto(b'x', address)
        assert s.recv(8) == b'machine'

def look_for(secret, name):
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if secret in open(f'/proc/{pid}/{name}', 'rb').read():
                return
        except OSError:
            continue
    raise FileNotFoundError(secret)

def write(path):
    with open(path, 'w') as file:
        file.write('x')
    if path not in KEPT:
        os.unlink(path)

kernel_log = ctypes.create_string_buffer(1 << 16)
libc.klogctl(3, kernel_log, len(kernel_log) - 1)
print('PROBE kernel', 'gVisor' if b'Starting gVisor' in kernel_log.value else 'another')

def attempt(name, action):
    try:
        action()
    except BaseException as error:
        print('PROBE', name, 'refused', type(error).__name__, error)
    else:
        print('PROBE', name, 'DONE')
"""


@dataclass(frozen=True)
class Probe:
    """One attempt."""

    name: str
    code: str
    harmless_inside: bool = False
    """Whether a kernel of its own may allow it: it reaches nothing outside."""


PROBES = (
    # Network
    Probe("tcp to a service of the machine", "connect(socket.AF_INET, ('127.0.0.1', TCP))"),
    Probe("tcp over IPv6", "connect(socket.AF_INET6, ('::1', TCP6))"),
    Probe("udp to a service of the machine", "ask(('127.0.0.1', UDP))"),
    Probe("abstract unix socket", "connect(socket.AF_UNIX, ABSTRACT)"),
    Probe("unix socket in a folder", "connect(socket.AF_UNIX, UNIX)"),
    Probe("raw socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()"),
    Probe("packet socket", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()"),
    Probe("vsock", "socket.socket(40, socket.SOCK_STREAM, 0).close()"),
    Probe("another interface", "assert {n for _, n in socket.if_nameindex()} - {'lo'}"),
    # Files
    Probe("a file of the machine", "open(SECRET_FILE).close()"),
    Probe("a file of another job", "open(OTHER_JOB).close()"),
    Probe("the machine's users", "open('/etc/passwd').close()"),
    Probe("write beside the job", "write(OUTSIDE)"),
    Probe("write into the job", "write(JOB + '/written')"),
    Probe("write into the data", "write(DATA + '/written')"),
    Probe("write into the library", "write(os.path.dirname(os.__file__) + '/scatter-probe')"),
    Probe("write into the root", "write('/scatter-probe')"),
    Probe("core pattern", "open('/proc/sys/kernel/core_pattern', 'r+').close()"),
    Probe("disks", "assert os.listdir('/sys/class/block')"),
    Probe(
        "a device file",
        "os.mknod(OUT + '/d', 0o20666, os.makedev(1, 3)); open(OUT + '/d').close(); "
        "os.unlink(OUT + '/d')",
        harmless_inside=True,
    ),
    # Other processes, and what they know
    Probe("environments", "look_for(b'SECRET-ENVIRONMENT', 'environ')"),
    Probe("command lines", "look_for(VICTIM_WORD, 'cmdline')"),
    Probe(
        "ptrace of another process",
        "call(101, 16, VICTIM, 0, 0); os.waitpid(VICTIM, 0x40000000); call(101, 17, VICTIM, 0, 0)",
    ),
    Probe(
        "memory of another process",
        "open(f'/proc/{VICTIM}/mem', 'rb').close(); open(f'/proc/{VICTIM}/maps').close()",
    ),
    Probe("namespaces of another process", "in_child(lambda: os.stat(f'/proc/{VICTIM}/ns/net'))"),
    Probe("kill another process", "os.kill(DOOMED, 9)"),
    # The kernel
    Probe("ptrace", "in_child(lambda: call(101, 0, 0, 0, 0))", harmless_inside=True),
    Probe("user namespace", "in_child(lambda: call(272, 0x10000000))", harmless_inside=True),
    Probe(
        "mount",
        "in_child(lambda: (call(272, 0x10020000), "
        "call(165, b'tmpfs', DATA.encode(), b'tmpfs', 0, 0)))",
        harmless_inside=True,
    ),
    Probe("bpf", "os.close(call(321, 0, struct.pack('<4I', 2, 4, 4, 1) + bytes(100), 116))"),
    Probe(
        "io_uring",
        "os.close(call(425, 8, ctypes.create_string_buffer(120)))",
        harmless_inside=True,
    ),
    Probe("keyctl", "call(248, b'user', b'probe', b'x', 1, -2)"),
    Probe("userfaultfd", "os.close(call(323, 0))"),
    Probe("raise a limit", "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))"),
    Probe("priority", "os.nice(-5)", harmless_inside=True),
)


def script(values: dict[str, object]) -> str:
    """All probes in one run, with the machine's facts."""
    facts = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    attempts = "".join(
        f"def action():\n    {probe.code}\nattempt({probe.name!r}, action)\n" for probe in PROBES
    )
    return f"{HEAD}\n{facts}\n{attempts}\nsys.stdout.flush()\nos._exit(3)\n"
