"""Fetches the Neo4j of the tests by Maven, once: what pom.xml names, with all that it needs, into .setup/neo4j."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["LIBRARY", "fetch_neo4j"]

POM = Path(__file__).parent / "neo4j" / "pom.xml"
LIBRARY = Path(__file__).parents[1] / ".setup" / "neo4j"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def fetch_neo4j() -> None:
    """Do nothing when it is there and from this pom.xml."""
    done = LIBRARY / "pom.xml"
    if done.exists() and done.read_bytes() == POM.read_bytes():
        return
    print("fetching Neo4j for the tests …", flush=True)
    shutil.rmtree(LIBRARY, ignore_errors=True)
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(POM),
        COPY,
        "-DincludeScope=runtime",
        f"-DoutputDirectory={LIBRARY / 'lib'}",
    ]
    if subprocess.run(command).returncode:
        sys.exit("mvn could not fetch Neo4j: see that Maven's repository is reachable, then run this again")
    shutil.copy(POM, done)


if __name__ == "__main__":
    fetch_neo4j()
