"""Ask for one page, as a container's health check does: `healthcheck.py URL`. Exit code 0 if it is there.

A program of its own, of the standard library alone, as it is started every few seconds.
"""

import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=2) as answer:  # noqa: S310 - the address is ours
        answer.read()
except (OSError, urllib.error.URLError) as error:
    sys.exit(str(error))
