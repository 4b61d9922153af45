"""`pcloud`, where an app that has stayed up for a moment counts as started, and one that fails is soon tried again: what a kill does
is the same, only sooner."""

from __future__ import annotations

from functools import partial

import core.bootstrap
from core.app import AppSettings, Supervision
from core.cli import main

if __name__ == "__main__":
    core.bootstrap.AppSettings = partial(AppSettings, supervision=Supervision(settle=0.1, back_off=0.05))  # type: ignore[misc]
    main()
