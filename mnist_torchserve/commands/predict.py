"""Ask a service what is in images: PNG, JPEG, WebP, .npy, or JSON as the service takes it; - is standard input.

The command reads a file as the service would, and sends its 784 numbers. So it shows what the model saw.
It first makes a photograph smaller if it has more pixels than the service reads.
If the service needs a key, set the environment variable API_KEY.

Exit code 0: every image was predicted. 1: one was refused, or no service answered. 2: the command line is wrong.
"""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests
from classifier.types import Pixels, Refusal
from mnist_torchserve.client import files
from mnist_torchserve.client.inference import Client, no_answer
from mnist_torchserve.client.terminal import Terminal
from mnist_torchserve.daemon import ServiceError
from . import command_line


def main() -> None:
    parser = command_line("predict", __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="of one image or several; - for standard input")
    parser.add_argument(
        "--url",
        help="the route of a deployment, such as https://digits.example.org/predict (/predict is meant where it has no "
        "path); default: the gateway or the TorchServe that runs here",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each image, and nothing else")
    options = parser.parse_args()
    if options.url and urlsplit(options.url).scheme not in ("http", "https"):
        parser.error(f"expected a URL that begins with http:// or https://, got {options.url}")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the reader of the output may stop early
    try:
        with Client(options.url) as client:
            predicted, total = predict(client, options.files, options.json)
    except ServiceError as error:
        sys.exit(str(error))
    if not options.json:
        print(f"{predicted} of {total} image{'s' * (total != 1)} predicted.")
    sys.exit(predicted < total)


def predict(client: Client, names: list[str], as_json: bool) -> tuple[int, int]:
    """Show each image with its answer. Return how many were predicted, and how many there were."""
    terminal = Terminal()
    predicted = total = 0
    for name, index, image in images_in(names, client.pictures):
        try:
            answer = client.ask(image)
        except requests.RequestException as error:
            hint = "start that service, or name another with --url"
            raise ServiceError(no_answer(client.route, error, hint)) from None
        if as_json:
            print(json.dumps({"file": name, "image": index, **answer}), flush=True)
        else:
            terminal.show(f"{name}, image {index}" if index else name, image, answer)
        predicted += "prediction" in answer
        total += 1
    return predicted, total


def images_in(names: list[str], pictures: Literal["mnist", "plain"]) -> Iterator[tuple[str, int, Pixels | Refusal]]:
    """Yield each file's images, or why there is none, with the file's name and their place in it."""
    for name in names:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            content, note = files.smaller(content)
            if note:
                print(f"{name}: {note}.", file=sys.stderr)
            found = files.read(content, pictures)
        except OSError as error:
            found = [Refusal("malformed", f"The file cannot be read: {error.strerror}.")]
        for index, image in enumerate(found):
            yield name, index, image
