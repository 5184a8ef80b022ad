"""Sends many HTTP requests with wrk and reads its figures."""

import re
import tempfile
from pathlib import Path

from .processes import run_program

SCRIPT = Path(__file__).with_name("requests.lua")
UNITS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0}


def send_requests(base_url: str, lines: list[str], headers: dict[str, str], *, at_once: int, seconds: int) -> dict:
    """Sends `lines`, each `METHOD PATH BODY`, in turn, `at_once` at a time; one thread, so that they stay in order."""
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        options = ["-t1", f"-c{at_once}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
        for name, value in headers.items():
            options += ["-H", f"{name}: {value}"]
        out = run_program(["wrk", *options, "-s", SCRIPT, base_url, "--", file.name], timeout_s=seconds + 60)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if failed:
        raise RuntimeError(f"{failed.group(1)} requests to {base_url} were refused: {out}")
    return {
        "requests_per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "p50_ms": read_quantile(out, "50"),
        "p99_ms": read_quantile(out, "99"),
    }


def read_quantile(out: str, percent: str) -> float:
    number, unit = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)$", out, re.MULTILINE).groups()
    return round(float(number) * UNITS[unit], 3)
