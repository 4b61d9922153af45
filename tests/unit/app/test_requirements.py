"""A package that is removed from a lock goes with its hashes; the rest stays unchanged."""

from __future__ import annotations

from core.apps.archive.requirements import check_lock, leave_out

HASH = f"    --hash=sha256:{'a' * 64}"
LOCK = f"# made by uv\nfoo==1.0 ; python_version < '3.12' \\\n{HASH} \\\n{HASH}\n    # via bar\nNKeys[x]==0.2.1 \\\n{HASH}\nzoo==2 --hash\n"


def test_a_package_is_left_out_with_its_hashes():
    lock = LOCK.replace("zoo==2 --hash", f"zoo==2 \\\n{HASH}")
    check_lock(lock, "requirements.lock")
    rest = leave_out(lock, ("nkeys",))
    check_lock(rest, "requirements.lock")
    assert rest == f"foo==1.0 ; python_version < '3.12' \\\n{HASH} \\\n{HASH}\nzoo==2 \\\n{HASH}\n"


def test_nothing_may_be_left():
    assert leave_out("# empty\n\n", ()) == ""
    assert leave_out(f"nkeys==0.2.1 \\\n{HASH}\n", ("nkeys",)) == ""
