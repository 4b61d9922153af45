"""The worker's side: `python -m face_detector.worker` holds a detector and looks at one picture after another.

It reads a job per line (JSON: path) and answers each with a line: `{"faces": […]}`, or `{"error": {code, message}}`.
Its first line names its detector. It is a process of its own because its decoders read untrusted bytes, and because its
memory is freed when it ends. It sets its own limits first; the pool limits the time.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from pcloud.errors import PCloudError

from .detectors import open_detector
from .face import Detector

__all__ = ["serve"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def serve(jobs: TextIO, answers: TextIO, detector: Detector, pixels: int) -> None:
    """Work until `jobs` ends."""
    _tell(answers, {"name": detector.name, "version": detector.version})
    for line in jobs:
        _tell(answers, _answer(Path(json.loads(line)["path"]), detector, pixels))


def _answer(path: Path, detector: Detector, pixels: int) -> dict[str, Any]:
    from .picture import upright

    try:
        return {"faces": [asdict(face) for face in detector.detect(upright(path, pixels))]}
    except PCloudError as error:
        return _error(error.code, error.message)
    except MemoryError:
        return _error("REJECTED", "the picture needs more memory than the setting `memory` allows")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _tell(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _limit(memory: int) -> None:
    """End with the app; no core files; no more address space than allowed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    _limit(setup["memory"])
    try:
        detector = open_detector(setup["detector"], setup["model"])
    except PCloudError as error:
        _tell(sys.stdout, _error(error.code, error.message))
        return
    serve(sys.stdin, sys.stdout, detector, setup["pixels"])


if __name__ == "__main__":
    main()
