"""Sends requests repeatedly from a separate process: wrk, the same for every server.

Requests are prepared beforehand, one body a line; each connection takes the next one, and starts again at the end.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Load", "run_load"]

SCRIPT = """
local bodies, at = {}, 0
for line in io.lines(%(bodies)s) do bodies[#bodies + 1] = line end
wrk.method = "POST"
%(headers)s
local requests = {}
function init()
  for index, body in ipairs(bodies) do requests[index] = wrk.format(nil, nil, nil, body) end
end
function request()
  at = at %% #requests + 1
  return requests[at]
end
%(look)s
function done(summary, latency)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), summary.bytes))
end
"""
LOOK = """
local bad = 0
function response(status, headers, body)
  if status ~= 200 or string.find(body, '"errors"', 1, true) then
    bad = bad + 1
    if bad == 1 then io.stderr:write(status .. " " .. string.sub(body, 1, 500) .. "\\n") end
  end
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """The result: `requests` in `seconds`; median and 99th percentile of the response time in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    bytes: int


def run_load(
    url: str,
    bodies: Sequence[Mapping[str, Any]],
    *,
    connections: int,
    seconds: int,
    headers: Mapping[str, str],
    look: bool = False,
) -> Load:
    """`look`: check each answer for errors, which costs the generator time of its own. Raises `RuntimeError` for any
    failed request."""
    with tempfile.TemporaryDirectory(prefix="pcloud-bench-load-") as folder:
        lines = Path(folder) / "bodies"
        lines.write_text("\n".join(json.dumps(body, separators=(",", ":")) for body in bodies) + "\n")
        given = {"Content-Type": "application/json", **headers}
        script = Path(folder) / "load.lua"
        script.write_text(
            SCRIPT
            % {
                "bodies": json.dumps(str(lines)),
                "headers": "\n".join(
                    f"wrk.headers[{json.dumps(key)}] = {json.dumps(value)}" for key, value in given.items()
                ),
                "look": LOOK if look else "",
            }
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), url]
        ran = subprocess.run(command, check=True, text=True, capture_output=True)
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", ran.stdout, re.MULTILINE)
    if found is None or ran.stderr or int(found[3]):
        raise RuntimeError(f"the load on {url} failed: {ran.stderr or ran.stdout}")
    requests, micros, _, p50, p99, size = map(int, found.groups())
    return Load(requests, micros / 1e6, p50 / 1000, p99 / 1000, size)
