"""`python bare_detector.py FILE…`: the bundled face detector called in a loop, without PCloud."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "apps" / "face-detector"))

from face_detector.detectors import open_detector
from face_detector.picture import upright


def main() -> None:
    detector = open_detector("blazeface", "")
    for name in sys.argv[1:]:
        with Path(name).open("rb") as file:
            detector.detect(upright(file, 200_000_000))


if __name__ == "__main__":
    main()
