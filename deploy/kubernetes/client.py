"""A client inside a cluster, which `try` starts: it sends real digits to the gateway until there is a file /tmp/stop.

Then it prints its account as one line of JSON: how many it asked, how many had to be repeated, how many were lost, and
how many answers were wrong: those of MNIST's model that are not the digit, and those of any other that are not what it
answered to the same image at first. It needs Python alone; sample.py and digits.npz lie beside it.
"""

import json
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from sample import PIXELS, sample  # type: ignore[import-not-found]  # a file beside it in the pod

CLIENTS = 8
PACE = 0.05  # s from one request of a client to its next
DEADLINE = 7.0  # s; the gateway's own is 5
REPEATED_AFTER = 1.0  # s, as the gateway's Retry-After says
STOP = Path(tempfile.gettempdir()) / "stop"
DIGITS = 100  # of the sample, all of which the network knows for certain


def ask(url: str, pixels: bytes) -> int:
    """The prediction; OSError where there is none."""
    headers = {"Content-Type": "application/octet-stream", "x-api-key": os.environ["API_KEY"]}
    request = urllib.request.Request(f"{url}/predict", pixels, headers)  # noqa: S310 - the address is the gateway's
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310 - as above
        return int(json.load(answer)["prediction"])


def first_model(url: str) -> str:
    """The model that `/predict` means, as soon as the gateway says it."""
    while not STOP.exists():
        try:
            with urllib.request.urlopen(f"{url}/v1/models", timeout=DEADLINE) as answer:  # noqa: S310 - as below
                return str(json.load(answer)["models"][0])
        except (OSError, ValueError, LookupError):
            time.sleep(REPEATED_AFTER)
    return ""


def count(url: str, number: int, pixels: bytes, expected: dict[int, int], account: Counter[str]) -> None:
    """Ask once, and once more where there was no answer, as clients do."""
    account["asked"] += 1
    for attempt in ("repeated", "lost"):
        try:
            answer = ask(url, pixels)
            account["wrong"] += answer != expected.setdefault(number, answer)
            return
        except (OSError, ValueError, LookupError) as error:
            status = error.code if isinstance(error, urllib.error.HTTPError) else type(error).__name__
            print(f"{attempt}: {status}", file=sys.stderr, flush=True)
            account[attempt] += 1
            time.sleep(REPEATED_AFTER)


def client(url: str, first: int, expected: dict[int, int], account: Counter[str]) -> None:
    """Ask again and again, until the end."""
    pixels, _ = sample()
    number = first
    while not STOP.exists():
        number = (number + CLIENTS) % DIGITS
        count(url, number, pixels[number * PIXELS : (number + 1) * PIXELS], expected, account)
        time.sleep(PACE)


def main() -> None:
    """Ask with several clients at once, and add up."""
    url, (_, labels) = sys.argv[1], sample()
    expected = dict(enumerate(labels)) if first_model(url) == "mnist" else {}
    accounts = [Counter[str]() for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client, args=(url, n, expected, accounts[n])) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = ("asked", "repeated", "lost", "wrong")
    print(json.dumps({name: sum(account[name] for account in accounts) for name in names}), flush=True)


if __name__ == "__main__":
    main()
