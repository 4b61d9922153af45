"""Finds forms of English that make a reader stop, in code, messages, pages and docs; `just check` runs it.

docs/contributing/style.md says how to write instead.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".md", ".ts", ".js", ".svelte", ".html", ".graphql", ".yaml", ".yml", ".toml"}
# Each with what to write in its place.
FORMS = {
    r"anew": "again, or a new …",
    r"whoever|whosoever|whomever": "name the caller, the app, the user",
    r"nobody('s)?|no one": "name who, and say what is",
    r"(is|are|was|were|be|being) told": "reports, logs, shows, returns",
    r"(is|are) none": "say what happens then",
    r"(what|that|which|who|it|this|these|those) (is|are|was|were) no (?!longer\b|more\b)\w+": "is not a …",
    r"of which none|none of which|of whom": "begin a new sentence",
    r"sees? to (it|that)": "ensures",
    r"heed(s|ed)?|thereof|therein|thereby|whereby|hence|henceforth": "a plainer word",
}
STYLE = "docs/contributing/style.md"
LONGEST_TEST_NAME = 80


def main() -> None:
    found = [line for path in written() for line in (*forms_in(path), *merge_marks_in(path), *long_names_in(path))]
    for line in found:
        print(line)
    sys.exit(f"{len(found)} places to write more plainly; see {STYLE}" if found else 0)


def written() -> list[Path]:
    """The tracked files of our own words."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    paths = (ROOT / name for name in listed.split("\0") if name and name not in (STYLE, "infra/check_words.py"))
    return [path for path in paths if path.suffix in SUFFIXES and path.is_file()]


def forms_in(path: Path) -> list[str]:
    """`path:line: form: what to write`, for each place."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {found[0]!r}: {instead}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for form, instead in FORMS.items()
        for found in re.finditer(rf"\b(?:{form})\b", plain(line))
    ]


def merge_marks_in(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line[:7]!r}: a merge that was not finished"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(r"(<{7}|>{7}) ", line)
    ]


def long_names_in(path: Path) -> list[str]:
    names = re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8")) if path.suffix == ".py" else []
    return [
        f"{path.relative_to(ROOT)}: {name}: a test's name has at most {LONGEST_TEST_NAME} characters"
        for name in names
        if len(name) > LONGEST_TEST_NAME
    ]


def plain(line: str) -> str:
    """Names as words, in small letters; Python's `None` and the system's user "nobody" are not words."""
    return line.replace("None", "").replace('"nobody"', "").replace("_", " ").lower()


if __name__ == "__main__":
    main()
