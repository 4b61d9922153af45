"""Build the web pages that have changed since their last build: `npm ci` and `npm run build` with the locked Node.

A page is a folder with a `package-lock.json`; its `dist/.built-from` records what it was built from. Beside each text lies the same in
gzip, which web servers send to browsers that read it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
STAMP = "dist/.built-from"
TEXTS = {".css", ".html", ".js", ".json", ".svg"}
WORTH = 1_000  # bytes: a smaller file fits into one packet anyway
MADE = {"node_modules", "dist", "test-results"}


def main() -> None:
    for page, wanted in unbuilt().items():
        print(f"building {page.relative_to(ROOT)} …", flush=True)
        npm(page, "ci", "--no-audit", "--no-fund", "--loglevel=error")
        npm(page, "run", "--silent", "build", "--", "--logLevel", "error")
        (page / STAMP).write_text(wanted)
    for page in pages():
        compress(page / "dist")


def pages() -> list[Path]:
    locks = [*ROOT.glob("apps/*/web/package-lock.json"), *ROOT.glob("core/*/*/*/package-lock.json")]
    return sorted(lock.parent for lock in locks)


def unbuilt() -> dict[Path, str]:
    """The pages whose build does not match their folder's content, with the content's digest."""
    wanted = {page: digest(page) for page in pages()}
    return {
        page: one for page, one in wanted.items() if not (page / STAMP).exists() or (page / STAMP).read_text() != one
    }


def compress(dist: Path) -> None:
    """Write `NAME.gz` beside each larger text without one; the build empties the folder first, so none is of an older file."""
    for path in sorted(dist.rglob("*")):
        compressed = path.with_name(f"{path.name}.gz")
        if path.suffix in TEXTS and path.stat().st_size >= WORTH and not compressed.exists():
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(gzip.compress(path.read_bytes(), mtime=0))  # the same bytes at each build
            part.replace(compressed)


def digest(page: Path) -> str:
    """SHA-256 over the names and bytes of everything that the page is built from."""
    total = hashlib.sha256()
    for path in sorted(page.rglob("*")):
        relative = path.relative_to(page)
        if path.is_file() and not MADE.intersection(relative.parts):
            total.update(f"{relative}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def npm(folder: Path, *arguments: str) -> None:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "NPM_CONFIG_UPDATE_NOTIFIER": "false", "PATH": f"{scripts}:{os.environ['PATH']}"}
    result = subprocess.run([str(scripts / "npm"), *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    if result.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed in {folder.relative_to(ROOT)}: see its output above")


if __name__ == "__main__":
    main()
