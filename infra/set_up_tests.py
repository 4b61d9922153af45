"""What the tests need beyond what PCloud needs to run: programs of Debian's, and the nats CLI, built with the locked Go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parent.parent / ".setup" / "bin"
# Debian packages, each with how to tell that it is there. Playwright's own Node is linked against libatomic.
PACKAGES = {
    "chromium": lambda: shutil.which("chromium") is not None,
    "bubblewrap": lambda: shutil.which("bwrap") is not None,
    "minisign": lambda: shutil.which("minisign") is not None,
    "openssh-client": lambda: shutil.which("ssh-keygen") is not None,
    "libatomic1": lambda: any(Path("/usr/lib").glob("*/libatomic.so.1")),
}
NATS_CLI = "github.com/nats-io/natscli/nats@v0.5.1"


def main() -> None:
    install_packages([name for name, there in PACKAGES.items() if not there()])
    if not (TOOLS / "nats").exists():
        build_nats_cli()


def install_packages(names: list[str]) -> None:
    if not names:
        return
    print(f"installing {', '.join(names)} …", flush=True)
    root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    for command in ([*apt, "update"], [*apt, "install", "--yes", "--no-install-recommends", *names]):
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            sys.exit(
                f"{' '.join(command)} failed: install {', '.join(names)} with your system's package manager, then run this again"
            )


def build_nats_cli() -> None:
    print("building the nats CLI …", flush=True)
    TOOLS.mkdir(parents=True, exist_ok=True)
    go = Path(sys.executable).parent / "go"
    environment = {**os.environ, "GOBIN": str(TOOLS), "GOFLAGS": "-trimpath", "CGO_ENABLED": "0"}
    if subprocess.run([str(go), "install", NATS_CLI], env=environment, stderr=subprocess.PIPE).returncode:
        sys.exit(f"go install {NATS_CLI} failed: see that the Go module proxy is reachable, then run this again")


if __name__ == "__main__":
    main()
