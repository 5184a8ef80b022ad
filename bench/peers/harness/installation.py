"""Installs peers in the versions that their folders pin: by npm, or by Maven."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .processes import log, run_program

INSTALL_TIMEOUT_S = 1_800
# Debezium Server and Apicurio Registry are compiled for it.
OLDEST_JAVA = 21
PINNED = re.compile(r"\d+(\.\d+)*(\.Final)?|\$\{peer\.version\}")
POM = "{http://maven.apache.org/POM/4.0.0}"


def read_version(folder: Path) -> str:
    """The version of the peer itself. Fails if its folder does not pin every version."""
    if (folder / "package.json").exists():
        package = json.loads((folder / "package.json").read_text())
        versions, version = list(package["dependencies"].values()), package["dependencies"][package["peer"]]
    else:
        pom = ElementTree.parse(folder / "pom.xml").getroot()
        version = pom.find(f"{POM}properties/{POM}peer.version").text
        versions = [version, *(element.text for element in pom.iter(f"{POM}version"))]
    loose = [one for one in versions if not PINNED.fullmatch(one)]
    if loose:
        sys.exit(f"{folder.name} does not pin {', '.join(loose)}")
    return version


def install_peer(folder: Path, target: Path) -> None:
    """Copies a peer's folder to `target` and fetches what it needs, unless that has been done for these files."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    stamp = "\n".join(f"{file.relative_to(folder)} {hash_text(file)}" for file in files)
    stamp_file = target / ".installed"
    if stamp_file.exists() and stamp_file.read_text() == stamp:
        return
    log(f"installing {folder.name} {read_version(folder)}")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
    if (folder / "package.json").exists():
        run_program(["npm", "ci", "--no-audit", "--no-fund"], timeout_s=INSTALL_TIMEOUT_S, cwd=target)
    else:
        environment = {**os.environ, "JAVA_HOME": str(find_java().resolve().parent.parent)}
        run_program(["mvn", "-q", "-B", "package"], timeout_s=INSTALL_TIMEOUT_S, cwd=target, env=environment)
    stamp_file.write_text(stamp)


def hash_text(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def find_java() -> Path:
    """A Java that is new enough: from JAVA_HOME, from PATH, or from the system's folder."""
    homes = [Path(home) for home in [os.environ.get("JAVA_HOME")] if home]
    on_path = shutil.which("java")
    programs = [home / "bin/java" for home in homes] + ([Path(on_path)] if on_path else [])
    programs += sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    for program in programs:
        if program.exists() and java_version(program) >= OLDEST_JAVA:
            return program
    raise RuntimeError(f"Java {OLDEST_JAVA} or newer was not found: set JAVA_HOME")


def java_version(program: Path) -> int:
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', text)
    return int(found.group(1)) if found else 0


def node_program(folder: Path) -> Path:
    """The Node.js that a peer's package pins."""
    return folder / "node_modules/.bin/node"
