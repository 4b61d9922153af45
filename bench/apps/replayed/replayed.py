"""Skips every event of the past, and records when each new one reached it, in seconds since 1970."""

import time

from pcloud.app import App

app = App()
seen: dict[str, float] = {}


@app.action("pass")
async def pass_(id: str) -> None:
    if not app.context().replay:
        seen[id] = time.time()


@app.action
async def times() -> dict[str, float]:
    return seen


if __name__ == "__main__":
    app.run()
