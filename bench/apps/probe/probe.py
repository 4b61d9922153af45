"""Records when each event reached it, in seconds since 1970."""

import time

from pcloud.app import App

app = App()
seen: dict[str, float] = {}


@app.action
async def note(id: str) -> None:
    seen.setdefault(id, time.time())


@app.action
async def times() -> dict[str, float]:
    return seen


@app.action
async def count() -> int:
    return len(seen)


if __name__ == "__main__":
    app.run()
