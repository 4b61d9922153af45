"""Makes the Neo4j of the tests, once: what pom.xml names with its dependencies, by Maven, into .setup/neo4j, with the
launcher as a jar.

A start consists mostly of loading classes. So the server runs once here and leaves an archive of the classes that it
has loaded: a start then takes 3 to 4 seconds of CPU instead of 9. A JVM that the archive does not fit starts without
it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import neo4j

__all__ = ["LIBRARY", "SHORT_LIVED", "fetch_neo4j", "server_command"]

SOURCES = Path(__file__).parent / "neo4j"
LIBRARY = Path(__file__).parents[1] / ".setup" / "neo4j"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
LAUNCHER, ARCHIVE, DONE = LIBRARY / "launcher.jar", LIBRARY / "classes.jsa", LIBRARY / "made-from"
OPENED = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.nio", "java.io", "sun.nio.ch")]
# A test's server lives for minutes and folds little: the quick compiler is better for that.
SHORT_LIVED = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
# One query of each kind that the graph makes, so that their classes are in the archive.
REHEARSED = [
    "CREATE CONSTRAINT a IF NOT EXISTS FOR (n:A) REQUIRE n.id IS UNIQUE",
    "SHOW INDEXES YIELD name WHERE name STARTS WITH 'pcloud_'",
    "UNWIND [{id: 'a', n: 1}, {id: 'b'}] AS row CREATE (n:A) SET n = row",
    "UNWIND [['a', 'b']] AS row MATCH (n:A {id: row[0]}) MATCH (m:A {id: row[1]}) MERGE (n)-[:R]->(m)",
    "MATCH (n:A) WHERE n.n IS NULL WITH n ORDER BY n.id LIMIT 5 RETURN [n.id, COLLECT { MATCH (n)<-[:R]-(m) RETURN [m.id] }]",
    "UNWIND ['a', 'b'] AS row MATCH (n:A {id: row}) DETACH DELETE n",
]  # fmt: skip


def server_command(folder: Path, port: int = 0, *, options: list[str] = SHORT_LIVED, archive: str = "") -> list[str]:
    """Runs the server on a folder, and on a free port for 0; it needs NEO4J_PASSWORD, and prints its port as `bolt
    PORT`."""
    classes = ":".join(map(str, [LAUNCHER, *sorted((LIBRARY / "lib").glob("*.jar"))]))
    archive = archive or f"-XX:SharedArchiveFile={ARCHIVE}"
    quiet = ["-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off", archive]
    return ["java", "-Xmx512m", "-Xss1m", *options, *OPENED, *quiet, "-cp", classes, "Launcher", str(folder), str(port)]


def fetch_neo4j() -> None:
    """Do nothing if it exists and was made from these sources and by this Java."""
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr  # noqa: S607
    made_from = "\n".join([*((SOURCES / name).read_text() for name in ("pom.xml", "Launcher.java")), java])
    if DONE.exists() and DONE.read_text() == made_from:
        return
    from java_trust import trust_options  # beside this file if it runs as a program; tests import `infra`

    print("fetching Neo4j for the tests …", flush=True)
    shutil.rmtree(LIBRARY, ignore_errors=True)
    pom, lib = str(SOURCES / "pom.xml"), LIBRARY / "lib"
    with tempfile.TemporaryDirectory() as folder:
        trust = trust_options(Path(folder) / "trusted.p12")
        _run(["mvn", "-q", "-B", "-f", pom, *trust, COPY, "-DincludeScope=runtime", f"-DoutputDirectory={lib}"],
             "mvn could not fetch Neo4j: check that Maven's repository is reachable, then run this again")  # fmt: skip
        _run(["javac", "-proc:none", "-cp", f"{lib}/*", "-d", folder, str(SOURCES / "Launcher.java")], "javac failed")
        _run(["jar", "cf", str(LAUNCHER), "-C", folder, "."], "jar failed")
        _rehearse(Path(folder) / "data")
    DONE.write_text(made_from)


def _rehearse(folder: Path) -> None:
    """Run the server once to make the archive."""
    command = server_command(folder, archive=f"-XX:ArchiveClassesAtExit={ARCHIVE}")
    environment = {**os.environ, "NEO4J_PASSWORD": "rehearsal"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        told = server.stdout.readline()
        if not told.startswith("bolt "):
            sys.exit("Neo4j did not start: see its output above, then run this again")
        auth = ("neo4j", environment["NEO4J_PASSWORD"])
        with neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{told.split()[1]}", auth=auth) as driver:
            for statement in REHEARSED:
                driver.execute_query(statement)
        server.communicate()  # closing its input stops the server


def _run(command: list[str], otherwise: str) -> None:
    if subprocess.run(command).returncode:
        sys.exit(otherwise)


if __name__ == "__main__":
    fetch_neo4j()
