"""What hostile code can do in the jail: nothing. Each attack really runs, and is told apart from an attack that could not even begin.

A candidate says what came of its attack by the value of a call; what it must not have done is looked for outside.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from fusiond.code.answer import Program
from fusiond.code.examples import Example
from fusiond.code.jail import INTERPRETER
from fusiond.code.request import PYTHON, Coding
from fusiond.code.workshop import OUTPUT, SECONDS, Trial, Workshop

RUN = Coding(language=PYTHON, entry="f", run=True)


async def tried(code: str, *calls: str, seconds: float = 20.0) -> Trial:
    """What comes of the calls; the test is skipped where there can be no jail."""
    workshop = Workshop()
    until = asyncio.get_running_loop().time() + seconds
    trial = await workshop.look(RUN, Program(language=PYTHON, code=code), [Example(call=call) for call in calls], until)
    if workshop.barred:
        pytest.skip(f"no jail on this machine: {workshop.barred}")
    assert trial.ran
    return trial


async def came_of(attack: str, seconds: float = 20.0) -> str:
    """The value of a function `f()` whose body is *attack*."""
    body = "\n".join(f"    {line}" for line in attack.strip().splitlines())
    trial = await tried(f"import os, sys, time, ctypes\ndef f():\n{body}\n", "1 + 1", "f()", seconds=seconds)
    assert trial.said[:1] == ("2",), trial  # it was alive before
    return trial.said[1] if len(trial.said) > 1 else "ended"


async def test_ordinary_code_works() -> None:
    """The standard library, files in `/tmp`, threads, randomness: what honest code may use."""
    code = """
import collections, heapq, random, re, tempfile, threading
from dataclasses import dataclass
def f(x):
    with tempfile.TemporaryFile("w+") as file:
        file.write("ab")
        file.seek(0)
        text = file.read()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(random.random() < 1))
    thread.start()
    thread.join()
    return text * x, seen, dict(collections.Counter(re.findall("a", text)))
"""
    assert (await tried(code, "f(2)")).said == ("('abab', [True], {'a': 1})",)


@pytest.mark.parametrize(
    "attack",
    [
        "import socket\nsocket.socket(socket.AF_INET).connect(('127.0.0.1', PORT))\nreturn 'out'",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('SOCKET')\nreturn 'out'",
        "import socket\nsocket.socket(40, socket.SOCK_STREAM).connect((2, 22))\nreturn 'out'",
        "import socket\nsocket.create_connection(('1.1.1.1', 53), timeout=2)\nreturn 'out'",
    ],
    ids=["loopback", "unix", "vsock", "far away"],
)
async def test_there_is_no_network(attack: str, short_path: Path) -> None:
    """Neither a server on this machine nor the daemon's socket hears of anything, and no kind of socket can be made."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(short_path / "s"))
        local.listen()
        said = await came_of(attack.replace("PORT", str(server.getsockname()[1])).replace("SOCKET", str(short_path / "s")))
        assert said == "raises PermissionError"
        for listening in (server, local):
            listening.setblocking(False)
            with pytest.raises(BlockingIOError):
                listening.accept()


async def test_no_file_of_this_machine_can_be_read(tmp_path: Path) -> None:
    """Passwords, the daemon's configuration, secrets and state, the user's home, other processes: they are not there."""
    secret = tmp_path / "state" / "secret"
    secret.parent.mkdir()
    secret.write_text("s3cret")
    places = [
        "/etc/shadow",
        "/etc/passwd",
        str(secret),
        str(Path.home() / ".profile"),
        "/proc/self/environ",
        "/proc/1/mem",
        "/sys/kernel",
        "/dev/mem",
    ]
    places += [__file__, "/tmp/../" + str(secret)]  # noqa: S108
    code = "def f(path):\n    return open(path, 'rb').read()\n"
    trial = await tried(code, *(f"f({place!r})" for place in places))
    assert trial.said == ("raises FileNotFoundError",) * len(places)


async def test_nothing_lies_at_the_root_but_the_interpreter_and_libraries() -> None:
    """And the way to them leads through empty directories."""
    said = await came_of("return sorted(os.listdir('/')), os.listdir('/tmp')")
    top = set(eval(said)[0])  # noqa: S307  # the trial's own text
    assert top <= {"lib", "lib64", "usr", "tmp", "nix", Path(sys.base_prefix).parts[1], Path(INTERPRETER).parts[1]}
    if Path(sys.base_prefix).is_relative_to(Path.home()):
        assert "'.profile'" not in await came_of(f"return os.listdir({str(Path.home())!r})")


@pytest.mark.parametrize("place", ["/evil", "/usr/lib/evil", "/lib/evil", "STDLIB/evil.py", "/tmp/../evil"])  # noqa: S108
async def test_nothing_outside_can_be_written(place: str) -> None:
    """All is read-only but `/tmp`, which is gone with the process."""
    path = place.replace("STDLIB", str(Path(os.__file__).parent))
    said = await came_of(f"try:\n    open({path!r}, 'w')\nexcept OSError as error:\n    return error.errno")
    assert int(said) in (errno.EROFS, errno.EACCES)
    assert not there(path)


async def test_links_lead_nowhere(tmp_path: Path) -> None:
    """A link is followed in the jail, where what it names is not; hard links and other names of the old root neither."""
    (tmp_path / "secret").write_text("s3cret")
    attack = f"""
found = []
for number, target in enumerate([{str(tmp_path / "secret")!r}, '/etc/shadow', '/proc/self/fd/0', '../../../../etc/shadow']):
    os.symlink(target, f'/tmp/{{number}}')
    try:
        found.append(open(f'/tmp/{{number}}').read())
    except OSError as error:
        found.append(error.errno)
return found"""
    assert await came_of(attack) == str([errno.ENOENT] * 4)


async def test_only_the_three_standard_files_are_open() -> None:
    """And the one for results: none of the daemon's. What stands behind them is a pipe or a file of the jail's."""
    attack = """
import stat
kinds = []
for number in range(32):
    try:
        status = os.fstat(number)
    except OSError:
        continue
    mode = status.st_mode
    kinds.append((number, 'pipe' if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else 'file' if stat.S_ISREG(mode) else oct(mode)))
return kinds"""
    kinds = dict(eval(await came_of(attack)))  # noqa: S307  # the trial's own text
    assert len(kinds) <= 5, kinds
    assert kinds[1] == kinds[2] == "file"
    assert set(kinds.values()) <= {"pipe", "file"}


async def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the daemon's environment are not in it."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-very-secret")
    said = await came_of("return sorted(os.environ)")
    assert said in ("[]", "['LC_CTYPE']")  # which Python sets by itself


async def test_a_fork_bomb_ends_by_itself() -> None:
    """After a handful of processes there are no more, and none is left in the end."""
    attack = """
import subprocess
started = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        started += 1
except OSError:
    return started"""
    before = children()
    assert 0 <= int(await came_of(attack)) < 10
    assert children() == before


async def test_a_memory_bomb_is_an_error_of_its_own() -> None:
    """By Python's own means and by others; the daemon takes no more for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for attack in (
        "return len(bytearray(2 * 1024 ** 3))",
        "x = [0]\nwhile True:\n    x += x",
        "import mmap\nreturn len(mmap.mmap(-1, 2 * 1024 ** 3))",
    ):
        assert await came_of(attack) in ("raises MemoryError", "raises OSError", "ended")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_memory_that_no_limit_counts_cannot_be_had() -> None:
    """Shared memory of System V and message queues; a file in memory is as short as any."""
    for call in ("shmget(0, 1 << 20, 0o1600)", "msgget(0, 0o1600)", "semget(0, 4, 0o1600)"):
        assert await came_of(f"libc = ctypes.CDLL(None, use_errno=True)\nreturn libc.{call}, ctypes.get_errno()") == f"(-1, {errno.EPERM})"
    assert await came_of(
        "file = os.memfd_create('x')\ntry:\n    os.ftruncate(file, 1 << 30)\nexcept OSError as error:\n    return error.errno"
    ) == str(errno.EFBIG)
    assert await came_of("try:\n    open('/tmp/x', 'wb').write(bytes(1 << 24))\nexcept OSError as error:\n    return error.errno") == str(errno.EFBIG)


@pytest.mark.parametrize(
    "sleeping",
    [
        "time.sleep(1000)",
        "while True:\n    pass",
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    time.sleep(1)",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nos.setsid()\ntime.sleep(1000)",
        "try:\n    time.sleep(1000)\nfinally:\n    time.sleep(1000)",
    ],
    ids=["sleeps", "spins", "ignores the alarm", "blocks all signals", "holds on"],
)
async def test_who_does_not_end_is_ended(sleeping: str) -> None:
    """At the limit, by force; what was found before it counts."""
    began = asyncio.get_running_loop().time()
    before = children()
    assert await came_of(sleeping, seconds=2.5) in ("raises Late", "ended")
    assert asyncio.get_running_loop().time() - began < 2 * SECONDS  # the kernel takes its time to end what has namespaces of its own
    assert children() == before


@pytest.mark.timeout(90)
async def test_a_gigabyte_of_output_is_not_read() -> None:
    """Neither printed, nor written past Python, nor into the way of the results: the daemon reads so much and no more."""
    print_it = "for _ in range(1024):\n    print('x' * 1024 * 1024)\nreturn 'done'"
    write_it = """
for number in (1, 2):
    try:
        while True:
            os.write(number, b'x' * 65536)
    except OSError as error:
        found = error.errno
return found"""
    flood_it = """
for number in range(3, 32):
    try:
        for _ in range(20000):
            os.write(number, b'x' * 65535 + bytes([10]))
    except OSError:
        pass"""
    assert await came_of(print_it) == "raises MemoryError"
    assert await came_of(write_it) == str(errno.EFBIG)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await came_of(flood_it) == "ended"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * OUTPUT // 1024 + 16 * 1024


async def test_results_that_are_forged_are_no_worse_than_wrong_ones() -> None:
    """Lines among the results that are none of ours neither break anything nor stand for a call that was not made before the process was ended."""
    attack = r"""
import os
for number in range(3, 9):
    try:
        os.write(number, b'[1]\nnonsense\n{"x": 1}\n\xff\n')
    except OSError:
        pass
"""
    trial = await tried(attack, "1 + 1")
    assert trial.said == ("2",)


async def test_a_candidate_cannot_say_that_there_is_no_jail() -> None:
    """That would keep all others from being run, or have them run elsewhere."""
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 20
    code = r"""
import os
for number in range(3, 9):
    try:
        os.write(number, b'{"barred": "by me"}\n')
    except OSError:
        pass
os._exit(0)
"""
    trial = await workshop.look(RUN, Program(language=PYTHON, code=code), [Example(call="1")], until)
    assert trial.barred != "by me" != workshop.barred


async def test_the_daemon_cannot_be_seen_killed_or_traced() -> None:
    """There is no process in there but its own; the first of the namespace cannot be ended from inside."""
    daemon = os.getpid()
    for attack in (f"os.kill({daemon}, 9)", "os.kill(os.getppid(), 9)", "os.kill(1, 9)", "os.kill(-1, 9)", "os.killpg(os.getpgid(0), 9)"):
        said = await came_of(f"{attack}\nreturn os.getpid()")
        assert said in ("raises ProcessLookupError", "raises PermissionError", "ended") or int(said) < 10, (attack, said)
    trace = "libc = ctypes.CDLL(None, use_errno=True)\nreturn libc.ptrace(16, {}, 0, 0), ctypes.get_errno()"
    for process in (daemon, 1):
        assert await came_of(trace.format(process)) == f"(-1, {errno.EPERM})"
    read = "libc = ctypes.CDLL(None, use_errno=True)\nreturn libc.process_vm_readv(1, 0, 0, 0, 0, 0), ctypes.get_errno()"
    assert await came_of(read) == f"(-1, {errno.EPERM})"


@pytest.mark.parametrize(
    "call",
    [
        "unshare(0x10000000)",
        "unshare(0x20000)",
        "mount(b'x', b'/tmp', b'tmpfs', 0, 0)",
        "umount2(b'/tmp', 2)",
        "chroot(b'/tmp')",
        "setns(0, 0)",
        "setuid(0)",
        "sethostname(b'x', 1)",
    ],
)
async def test_no_rights_can_be_won(call: str) -> None:
    """Neither new namespaces, in which it would have all, nor mounts, nor another user."""
    said = await came_of(f"libc = ctypes.CDLL(None, use_errno=True)\nreturn libc.{call}, ctypes.get_errno()")
    assert said in (f"(-1, {errno.EPERM})", f"(-1, {errno.EINVAL})")


async def test_it_is_nobody_without_rights() -> None:
    """Not root, also where the daemon is; `/proc` is not there to tell, so that the kernel is asked."""
    attack = """
head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget(head, sets)
return os.getuid() != 0, os.geteuid() != 0, list(sets), ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)"""
    assert await came_of(attack) == "(True, True, [0, 0, 0, 0, 0, 0], 1)"


async def test_processes_that_are_left_behind_end_with_it() -> None:
    """Daemons in sessions of their own, which nobody waits for."""
    before = children()
    attack = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
return 'left'"""
    assert await came_of(attack) == "'left'"
    assert children() == before


async def test_a_client_that_leaves_takes_its_candidate_along() -> None:
    """Cancelled in the middle, nothing goes on."""
    before = children()
    work = asyncio.create_task(tried("import time\ntime.sleep(1000)\n", "1"))
    while children() == before and not work.done():  # noqa: ASYNC110  # nobody tells of a new process
        await asyncio.sleep(0.01)
    if work.done():
        await work  # skipped
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert children() == before


async def test_the_loop_is_free_meanwhile() -> None:
    """Other requests go on: no turn of the loop waits for a candidate."""
    loop, longest, last = asyncio.get_running_loop(), 0.0, 0.0
    work = asyncio.create_task(tried("import time\ndef f():\n    while True:\n        pass\n", "f()"))
    last = loop.time()
    turns = 0
    while not work.done():
        await asyncio.sleep(0.01)
        longest, last, turns = max(longest, loop.time() - last), loop.time(), turns + 1
    await work
    assert turns > 20
    assert longest < 0.5


async def test_deep_and_huge_programs_do_not_end_the_daemon() -> None:
    """Whatever they do to the parser, they do it in a process of its own."""
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 20
    for code in (
        "(" * 90_000,
        "-" * 90_000 + "1",
        "x" + "+x" * 45_000,
        "a" + ".a" * 45_000,
        "[" * 150 + "]" * 150,
        "\0",
        "\ud800",
        "if 1:\n" + " " * 50 + "f(",
        "f" + "()" * 45_000,
    ):
        for coding in (RUN, Coding(language=PYTHON)):
            trial = await workshop.look(coding, Program(language=PYTHON, code=code), [Example(call="1")], until)
            assert trial.parses in (True, False), code[:10]
    assert (await workshop.look(Coding(language=PYTHON), Program(language=PYTHON, code="x = 1"), [], until)).parses


@pytest.mark.parametrize("language", ["json", "toml"])
async def test_deep_documents_do_not_end_the_daemon(language: str) -> None:
    """Of the other languages that are read neither."""
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 20
    for code, parses in (("[" * 90_000, False), ("{}" if language == "json" else "a = 1", True)):
        assert (await workshop.look(Coding(language=language), Program(language=language, code=code), [], until)).parses is parses


async def test_without_namespaces_nothing_is_run(tmp_path: Path) -> None:
    """As systemd's RestrictNamespaces forbids them: a filter on the call. The trial says why, and the code was read all the same."""
    outside = tmp_path / "outside"
    script = f"""
import asyncio, sys
from fusiond.code.filter import install
from fusiond.code.answer import Program
from fusiond.code.examples import Example
from fusiond.code.request import PYTHON, Coding
from fusiond.code.workshop import Workshop
install(["unshare"])
async def main():
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 20
    for _ in range(2):
        program = Program(language=PYTHON, code="open({str(outside)!r}, 'w')\\ndef f(): return 1")
        print(await workshop.look(Coding(language=PYTHON, run=True), program, [Example(call="f()")], until))
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        env={"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    lines = output.decode().splitlines()
    assert len(lines) == 2, errors.decode()
    for line in lines:
        assert "parses=True" in line
        assert "ran=False" in line
        assert "namespaces: Operation not permitted" in line
    assert not outside.exists()


def there(path: str) -> bool:
    """Whether anything has that name on this machine."""
    return os.path.lexists(path)


def children() -> set[str]:
    """Processes of the whole machine that are one of ours: the jail, or the candidate's interpreter in it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        ours = b"fusiond.code.jail" in command and str(os.getpid()).encode() in command.split(b"\0")
        if (ours or b"in-jail" in command.split(b"\0")) and state != "Z":
            found.add(process.name)
    return found


async def test_results_are_counted_once() -> None:
    """A candidate that writes results itself, or divides itself, says no more than what came of each call; of nobody is more known than was asked."""
    workshop, program = Workshop(), "import os\n{attack}\ndef f(x):\n    return x + 2\n"
    calls = [Example(call="f(2)", wanted="4"), Example(call="f(5)", wanted="7"), Example(call="f(6)")]
    attacks = [
        'for n in range(99):\n    os.write(3, b\'{"number": 0, "said": "4", "passes": true}\\n\')',
        "os.fork()",
        "os.write(3, b'{\"begun\": \"' + b'x' * 9999 + b'\"}\\n')",
    ]
    for attack in attacks:
        code = Program(language=PYTHON, code=program.format(attack=attack))
        trial = await workshop.look(RUN, code, calls, asyncio.get_running_loop().time() + 20)
        if workshop.barred:
            pytest.skip(f"no jail on this machine: {workshop.barred}")
        assert len(trial.said) <= len(calls), attack
        assert trial.passed <= 2, attack
        assert len(trial.error) <= 200, attack


def test_no_file_is_inherited(tmp_path: Path) -> None:
    """Whatever whoever starts it has open: a loop that starts processes in its own way may not close it."""
    secret = tmp_path / "secret"
    secret.write_text("TOP SECRET", encoding="utf-8")
    body = (
        "found = []\nfor fd in range(3, 200):\n    try:\n        found.append(os.pread(fd, 20, 0))\n    except OSError:\n        pass\nreturn found"
    )
    code = "import os\ndef f():\n" + "".join(f"    {line}\n" for line in body.splitlines())
    job = {"language": PYTHON, "code": code, "given": [], "entry": "f", "calls": [{"call": "f()", "wanted": None, "before": []}]}
    with secret.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-P", "-B", "-S", "-m", "fusiond.code.jail", str(os.getpid())],
            input=json.dumps(job).encode(),
            env={"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
            pass_fds=(file.fileno(),),
            capture_output=True,
            check=False,
            timeout=30,
        )
    if b'"barred"' in done.stdout:
        pytest.skip("no jail on this machine")
    assert b'"number": 0' in done.stdout
    assert b"SECRET" not in done.stdout


async def test_installed_packages_are_not_there() -> None:
    """Only what Python brings itself is."""
    places = [str(Path(sysconfig.get_path(name), "site-packages")) for name in ("stdlib", "platstdlib")]
    assert await came_of(f"return [os.listdir(place) for place in {places!r} if os.path.isdir(place)]") in ("[[], []]", "[[]]", "[]")
