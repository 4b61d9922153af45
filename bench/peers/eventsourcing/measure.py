"""Appends and projects with pyeventsourcing, in its own environment: `python measure.py '{"store": "sqlite", …}'`
prints JSON.

As in its documentation: an aggregate per image, saved one by one; a projection that stores its table and its tracking
record in one transaction for each event. Its durability is the store's own default: SQLite in WAL mode with synchronous
FULL, PostgreSQL with synchronous_commit on.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory, Tracking, TrackingRecorder
from eventsourcing.utils import Environment

FIELDS = ("place", "mime", "title", "camera", "takenAt", "width", "height", "size", "latitude", "longitude")
PAGE = 500


class Image(Aggregate):
    @event("Added")
    def __init__(
        self, place: str, mime: str, title: str, camera: str, takenAt: str, width: int, height: int, size: int, latitude: float,
        longitude: float,
    ) -> None:  # fmt: skip
        self.place, self.mime, self.title, self.camera, self.takenAt = place, mime, title, camera, takenAt
        self.width, self.height, self.size, self.latitude, self.longitude = width, height, size, latitude, longitude


class House(Application):
    log_section_size = PAGE


def view_of(store: str, environment: Environment) -> Any:
    factory = InfrastructureFactory.construct(environment)
    if store == "sqlite":
        from eventsourcing.sqlite import SQLiteTrackingRecorder as Recorder

        mark, more = "?", {}
    else:
        from eventsourcing.postgres import PostgresTrackingRecorder as Recorder

        mark, more = "%s", {"prepare": True}
    insert = f"INSERT INTO image VALUES ({', '.join([mark] * (len(FIELDS) + 1))})"

    class Images(Recorder):  # type: ignore[misc,valid-type]
        def put(self, row: list[Any], tracking: Tracking) -> None:
            with self.datastore.transaction(commit=True) as cursor:
                cursor.execute(insert, row, **more)
                self._insert_tracking(cursor, tracking)

        def make_table(self) -> None:
            kinds = ("text",) * 5 + ("int", "int", "bigint", "float8", "float8")
            columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(FIELDS, kinds, strict=True))
            with self.datastore.transaction(commit=True) as cursor:
                cursor.execute(f"CREATE TABLE image (id text PRIMARY KEY, {columns})")

    view = factory.tracking_recorder(Images)
    view.make_table()
    return view


def append(app: House, rows: list[dict[str, Any]], writers: int) -> None:
    if writers == 1:
        for row in rows:
            app.save(Image(**row))
        return
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(lambda row: app.save(Image(**row)), rows))


def project(app: House, view: TrackingRecorder) -> int:
    start, count = 1, 0
    while notifications := app.notification_log.select(start, PAGE):
        for notification in notifications:
            found = app.mapper.to_domain_event(notification)
            row = [str(found.originator_id), *(getattr(found, name) for name in FIELDS)]
            view.put(row, Tracking(app.name, notification.id))  # type: ignore[attr-defined]
            count += 1
        start = notifications[-1].id + 1
    return count


def timed(work: Any) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    given = json.loads(sys.argv[1])
    app = House(env=given["environment"])
    rows = [{name: row[name] for name in FIELDS} for row in json.loads(sys.stdin.read())]
    append(app, rows[:50], given["writers"])
    appended = timed(lambda: append(app, rows, given["writers"]))
    view = view_of(given["store"], Environment("images", env=given["projection"]))
    projected = timed(lambda: project(app, view))
    print(json.dumps({"events": len(rows), "projected": len(rows) + 50, "append": appended, "project": projected}))


if __name__ == "__main__":
    main()
