"""Answers calls from the bus, several at a time: `attack` runs code, `greet` and `secret` are what an honest app would have."""

import json
import os
import subprocess
import sys
import threading

from attacker.bus import Bus
from attacker.pages import serve_pages

NAME = os.environ["PCLOUD_APP"]
LONGEST = 200_000
# What is written there stands in the app's log.
OUTPUT = os.dup(1)


def attack(code: str, headers: dict[str, str], reply: str) -> object:
    own = {"CALL_RUN": headers.get("Pcloud-Run", ""), "CALL_REPLY": reply, "APP_OUTPUT": str(OUTPUT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=90,
        pass_fds=[OUTPUT],
    )
    return {"code": done.returncode, "out": done.stdout[-LONGEST:], "err": done.stderr[-4000:]}


def answer(bus: Bus, action: str, args: dict, headers: dict[str, str], reply: str) -> None:
    try:
        if action == "attack":
            result = attack(args["code"], headers, reply)
        else:
            print(json.dumps({"called": action, "args": args}), flush=True)
            who = {"caller": headers.get("Pcloud-Caller"), "actor": headers.get("Pcloud-Actor")}
            result = {"app": NAME, "action": action, **who, "args": args}
        status, body = "ok", {"result": result}
    except Exception as error:
        status, body = "error", {"error": {"code": "UNAVAILABLE", "message": repr(error)}}
    bus.publish(reply, json.dumps(body).encode(), headers={"Pcloud-Status": status})


def main() -> None:
    serve_pages()
    bus = Bus()
    bus.subscribe(f"call.{NAME}.>", NAME)
    print(f"{NAME} listens", flush=True)
    for message in bus.messages():
        action = message.subject.rpartition(".")[2]
        args = json.loads(message.data)["args"]
        threading.Thread(target=answer, args=(bus, action, args, message.headers, message.reply), daemon=True).start()


main()
