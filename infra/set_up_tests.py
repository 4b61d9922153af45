"""Installs what the tests need beyond PCloud's own needs: programs of Debian's, the nats CLI, built with the locked Go,
a Neo4j server, fetched by Maven, and two reverse proxies, which are only unpacked: installed, they would begin to serve."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from neo4j_for_tests import fetch_neo4j

TOOLS = Path(__file__).parent.parent / ".setup" / "bin"
# Debian packages, each with a test for its presence. Playwright's own Node is linked against libatomic. Sandboxes are
# made with the wheel's bubblewrap; Debian's, which is older, is tried besides it.
PACKAGES = {
    "chromium": lambda: shutil.which("chromium") is not None,
    "bubblewrap": lambda: shutil.which("bwrap") is not None,
    "restic": lambda: shutil.which("restic") is not None,
    "minisign": lambda: shutil.which("minisign") is not None,
    "openssh-client": lambda: shutil.which("ssh-keygen") is not None,
    "systemd": lambda: shutil.which("systemd-analyze") is not None,
    "maven": lambda: shutil.which("mvn") is not None,
    "libatomic1": lambda: any(Path("/usr/lib").glob("*/libatomic.so.1")),
}
JAVAS = ("openjdk-21-jdk-headless", "openjdk-17-jdk-headless")  # the first one that this Debian has; Neo4j runs on both
PROXIES = {"nginx": Path("usr/sbin/nginx"), "caddy": Path("usr/bin/caddy")}  # by Debian package
NATS_CLI = "github.com/nats-io/natscli/nats@v0.5.1"


def main() -> None:
    missing = [name for name, there in PACKAGES.items() if not there()]
    install_packages(missing if shutil.which("javac") else [*missing, java()])
    if not (TOOLS / "nats").exists():
        build_nats_cli()
    fetch_neo4j()
    missing = [name for name, place in PROXIES.items() if not (TOOLS / place.name).exists()]
    if missing:
        unpack_proxies(missing)


def java() -> str:
    """The name of the package with a Java that Neo4j runs on. Debian 12 has 17, Debian 13 has 21."""
    subprocess.run([*apt(), "update"], stdout=subprocess.DEVNULL)
    for name in JAVAS:
        if subprocess.run(["/usr/bin/apt-cache", "show", name], capture_output=True).returncode == 0:
            return name
    return JAVAS[-1]


def apt() -> list[str]:
    root = [] if os.geteuid() == 0 else ["sudo"]
    return [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]


def install_packages(names: list[str]) -> None:
    if not names:
        return
    print(f"installing {', '.join(names)} …", flush=True)
    for command in ([*apt(), "update"], [*apt(), "install", "--yes", "--no-install-recommends", *names]):
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            sys.exit(
                f"{' '.join(command)} failed: install {', '.join(names)} with your system's package manager, then run this again"
            )


def unpack_proxies(names: list[str]) -> None:
    print(f"unpacking {', '.join(names)} …", flush=True)
    TOOLS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*apt(), "update"], stdout=subprocess.DEVNULL)
        command = ["/usr/bin/apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names]
        if subprocess.run(command, cwd=folder).returncode:
            sys.exit(f"{' '.join(command)} failed: check that Debian's packages are reachable, then run this again")
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["/usr/bin/dpkg-deb", "--extract", package, folder], check=True)
        for name in names:
            shutil.copy2(Path(folder) / PROXIES[name], TOOLS)


def build_nats_cli() -> None:
    print("building the nats CLI …", flush=True)
    TOOLS.mkdir(parents=True, exist_ok=True)
    go = Path(sys.executable).parent / "go"
    environment = {**os.environ, "GOBIN": str(TOOLS), "GOFLAGS": "-trimpath", "CGO_ENABLED": "0"}
    if subprocess.run([str(go), "install", NATS_CLI], env=environment, stderr=subprocess.PIPE).returncode:
        sys.exit(f"go install {NATS_CLI} failed: check that the Go module proxy is reachable, then run this again")


if __name__ == "__main__":
    main()
