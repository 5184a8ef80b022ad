#!/usr/bin/env python3
"""Measures other programs of the field beside the product, on the same engines in the same run.

Each folder beside this file, except `harness`, is a peer: pinned versions, settings, the program that loads it, and
`peer.py`. The engines are those of `medhub-local up --engines-only` on a new data folder for each peer, which is removed
at the end. Prints a JSON line for each figure. Needs npm, Maven, Java 21 or newer, psql, pgbench and wrk.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from harness.installation import find_java, install_peer, read_version
from harness.processes import log
from harness.stack import LocalStack

FOLDER = Path(__file__).resolve().parent
WORKSPACE = FOLDER.parent.parent


def list_peers() -> list[str]:
    return sorted(file.parent.name for file in FOLDER.glob("*/peer.py"))


def resolve_path(text: str) -> Path:
    """Peers run in separate folders, where a relative path would name another file."""
    return Path(text).resolve()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", choices=list_peers(), help="only this one; may be repeated")
    parser.add_argument("--medhub-local", type=Path, default=WORKSPACE / "target/release/medhub-local", metavar="PROGRAM",
                        help="the program to measure, of the release profile [default: %(default)s]")
    parser.add_argument("--work", type=resolve_path, default=WORKSPACE / "target/peers", metavar="DIR",
                        help="where peers are installed [default: %(default)s]")
    parser.add_argument("--data", type=resolve_path, default=Path(tempfile.gettempdir()), metavar="DIR",
                        help="where the data folder of the engines is made [default: %(default)s]")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append the JSON lines to this file, too")
    parser.add_argument("--quick", action="store_true", help="smallest sizes: shows that everything can be measured")
    parser.add_argument("--list", action="store_true", help="print each peer with its version, and measure nothing")
    parser.add_argument("--fetch-only", action="store_true", help="install the peers and measure nothing")
    return parser.parse_args()


def load_module(name: str):
    spec = importlib.util.spec_from_file_location(f"peer_{name.replace('-', '_')}", FOLDER / name / "peer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def describe_run(program: Path) -> dict:
    """What all lines of a run have in common."""
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "-C", WORKSPACE, "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True)
    return {
        "date": date.today().isoformat(),
        "product": version,
        "commit_of_folder": commit.stdout.strip() or None,
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "load_at_start": round(os.getloadavg()[0], 2)},
    }


def print_line(line: dict, out: Path | None) -> None:
    text = json.dumps(line, ensure_ascii=False)
    print(text, flush=True)
    if out:
        with out.open("a") as file:
            file.write(text + "\n")


def measure_peer(name: str, stack: LocalStack, arguments: argparse.Namespace, common: dict) -> None:
    """Measures one peer and prints its lines."""
    version = read_version(FOLDER / name)
    log(f"measuring {name} {version}")
    for figure in load_module(name).measure(stack, arguments.work / name, arguments.quick):
        peer, ours = figure["figure"], figure["ours"]
        better = peer / ours if figure.get("less_is_better") else ours / peer
        print_line({"peer": name, "version": version, **figure, "ratio": round(better, 3), **common}, arguments.out)


def main() -> int:
    arguments = parse_arguments()
    # A stop of any kind unwinds, so that everything that was started is ended.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    names = arguments.peer or list_peers()
    if arguments.list:
        for name in names:
            load_module(name)
            print(name, read_version(FOLDER / name))
        return 0
    try:
        find_java()
        for name in names:
            install_peer(FOLDER / name, arguments.work / name)
    except (RuntimeError, OSError) as error:
        sys.exit(f"installing the peers: {error}")
    if arguments.fetch_only:
        return 0
    missing = [program for program in ("psql", "pgbench", "wrk") if not shutil.which(program)]
    if missing:
        sys.exit(f"not found: {', '.join(missing)} (Debian: postgresql, wrk)")
    if not arguments.medhub_local.exists():
        sys.exit(f"{arguments.medhub_local} does not exist: `cargo build --release --bin medhub-local`, or use --medhub-local")
    common, failed = describe_run(arguments.medhub_local), []
    for name in names:
        try:
            with LocalStack(arguments.medhub_local.resolve(), arguments.data) as stack:
                measure_peer(name, stack, arguments, common)
        except (RuntimeError, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            # The others are still measured.
            log(f"{name} failed: {error}")
            failed.append(name)
    if failed:
        log(f"not measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
