"""Child processes: each is started in a new process group, and ended with everything that it started."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

STOP_TIMEOUT_S = 30


def log(message: str) -> None:
    """Prints a line of progress; standard output has the figures only."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def run_program(command: list, *, timeout_s: float, accepted: tuple[int, ...] = (0,), **options) -> str:
    """Runs a program to its end and returns its standard output; its errors are passed on, or are part of the message."""
    with running_program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as child:
        try:
            out, errors = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{name_of(command)} did not end within {timeout_s} s") from None
    if child.returncode not in accepted:
        raise RuntimeError(f"{name_of(command)} ended with {child.returncode}: {(errors + out)[-3000:]}")
    return out


def name_of(command: list) -> str:
    return " ".join(str(part) for part in command)[:200]


@contextmanager
def running_program(command: list, *, reads_input: bool = False, **options):
    """Starts a program, and ends its process group when the block is left."""
    stdin = subprocess.PIPE if reads_input else subprocess.DEVNULL
    child = subprocess.Popen([str(part) for part in command], start_new_session=True, stdin=stdin, **options)
    try:
        yield child
    finally:
        stop_group(child)


def stop_group(child: subprocess.Popen) -> None:
    """Ends a process and its process group: asks first, then kills."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            break
        try:
            os.killpg(child.pid, number)
            child.wait(timeout=STOP_TIMEOUT_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def wait_until(what: str, holds, *, timeout_s: float, child: subprocess.Popen | None = None, log_file: Path | None = None):
    """Polls until `holds()` returns something true, and returns it. Fails early if `child` has ended."""
    end = time.monotonic() + timeout_s
    while True:
        value = holds()
        if value:
            return value
        tail = lambda: log_file.read_text(errors="replace")[-2000:] if log_file and log_file.exists() else ""
        if child is not None and child.poll() is not None:
            raise RuntimeError(f"{what}: the program ended with {child.returncode}: {tail()}")
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {timeout_s} s: {tail()}")
        time.sleep(0.05)


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
