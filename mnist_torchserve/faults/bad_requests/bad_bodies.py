"""Kinds of requests with a bad body, or with a bad description of it."""

import gzip
import io
import json
import zlib
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from PIL import Image
from mnist_torchserve.contract import MAX_BODY, PIXELS
from .exchanges import CLOSED, Draft
from .kind import HOSTILE, Kinds, chunked, good_json

KINDS = Kinds()


def _no_number(dice: Random, depth: int = 4) -> Any:
    """A JSON value that is not a number; anything may be nested in it."""
    shallow: list[Any] = [None, True, False, "", "0.5", "x" * dice.randrange(300), [], {}]
    if depth == 0:
        return dice.choice(shallow)
    inner = [dice.random() if dice.random() < 0.5 else _no_number(dice, depth - 1) for _ in range(dice.randrange(4))]
    return dice.choice([*shallow, inner, inner, {f"key{n}": value for n, value in enumerate(inner)}])


def _with(value: bytes, dice: Random) -> bytes:
    """A payload with `value` in place of one number."""
    numbers = [b"0.5"] * PIXELS
    numbers[dice.randrange(PIXELS)] = value
    return b'{"data": [' + b", ".join(numbers) + b"]}"


@KINDS.add("a wrong type", {422})
def _wrong_type(dice: Random) -> Draft:
    value = json.dumps(_no_number(dice)).encode()
    return Draft(dice.choice([value, b'{"data": ' + value + b"}", _with(value, dice)]))


@KINDS.add("a wrong length", {422})
def _wrong_length(dice: Random) -> Draft:
    count = dice.choice([0, 1, 28, PIXELS - 1, PIXELS + 1, 2 * PIXELS, dice.randrange(PIXELS)])
    if dice.random() < 0.5:
        return Draft(json.dumps({"data": [0.5] * count}).encode())
    return Draft(dice.randbytes(count), media_type=b"application/octet-stream")


@KINDS.add("a number out of range", {400, 422})  # 400 where it has more digits than Python reads
def _out_of_range(dice: Random) -> Draft:
    digits_ = b"9" * dice.choice([2, 20, 400, 5_000, 50_000])
    exponent = b"%d" % dice.choice([1, 39, 308, 309, 400, 10**9, 10**30])
    numbers = [digits_, b"-" + digits_, digits_ + b".5", b"1e" + exponent, b"-1e" + exponent, b"NaN", b"-Infinity"]
    return Draft(_with(dice.choice(numbers), dice))


@KINDS.add("deep nesting", {400, 422})
def _nest(dice: Random) -> Draft:
    depth = dice.choice([100, 1_000, 10_000, 30_000])
    opening, closing = dice.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'{"data":', b"}"), (b'[{"data":', b"}]")])
    depth = min(depth, 60_000 // len(opening + closing))
    nest = opening * depth + dice.choice([b"", b"0" + closing * depth])
    key = dice.choice([b"data", b"more", b"instances", b"inputs"])
    return Draft(dice.choice([nest, b'{"' + key + b'": ' + nest + b"}", b'{"' + key + b'": [' + nest]))


def _wrong_member(dice: Random) -> bytes:
    return b'"data": ' + json.dumps(dice.choice([None, True, "0.5", {}, [None], [[]]])).encode()


@KINDS.add("a repeated key, the last one wrong", {422})
def _last_key_is_wrong(dice: Random) -> Draft:
    return Draft(b"{" + good_json(dice).body[1:-1] + b", " + _wrong_member(dice) + b"}")


@KINDS.add("a repeated key", {200})
def _last_key_counts(dice: Random) -> Draft:
    first = dice.choice([good_json(dice).body[1:-1], _wrong_member(dice)])
    last = good_json(dice)
    return Draft(b"{" + first + b", " + last.body[1:-1] + b"}", last.answers)


@KINDS.add("a byte order mark", {200, 400})
def _byte_order_mark(dice: Random) -> Draft:
    draft = good_json(dice)
    encoding = dice.choice(["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
    return Draft(draft.body.decode().encode(encoding)[:MAX_BODY], draft.answers)


# Values under unknown keys are not checked.
@KINDS.add("invalid UTF-8", {200, 400, 422})
def _no_utf8(dice: Random) -> Draft:
    text = dice.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xe2\x82"])
    draft = good_json(dice)
    key = dice.choice([b'"note": "', b'"', b'"data": "'])
    return replace(draft, body=b"{" + key + text + b'", ' + draft.body[1:])


@KINDS.add("invalid JSON", {400, 422})
def _no_json(dice: Random) -> Draft:
    body = good_json(dice).body
    cut = body[: dice.randrange(len(body))]
    noise = b"\x00" + dice.randbytes(dice.randrange(2_000))
    return Draft(dice.choice([b"", cut, noise, body + b"x", body.replace(b",", b";", 1), b"data=0.5", *HOSTILE]))


def _compress(plain: bytes, dice: Random) -> tuple[bytes, list[bytes]]:
    """A compressed body, and its header Content-Encoding."""
    if dice.random() < 0.5:
        return gzip.compress(plain, 1, mtime=0), [b"Content-Encoding: gzip"]
    return zlib.compress(plain, 1), [b"Content-Encoding: deflate"]


@KINDS.add("a compressed body", {200})
def _compressed(dice: Random) -> Draft:
    draft = good_json(dice)
    body, headers = _compress(draft.body, dice)
    return replace(draft, body=body, headers=headers)


@KINDS.add("a compressed body without its header", {400})
def _secretly_compressed(dice: Random) -> Draft:
    return Draft(_compress(good_json(dice).body, dice)[0])


@KINDS.add("half of a compressed body", {400})
def _half_compressed(dice: Random) -> Draft:
    body, headers = _compress(good_json(dice).body, dice)
    return Draft(body[: dice.randrange(2, len(body))], headers=headers)


@KINDS.add("a small body that is large once decompressed", {413})
def _bomb(dice: Random) -> Draft:
    body, headers = _compress(b" " * 10_000_000, dice)
    return Draft(body, headers=headers)


@KINDS.add("labelled compressed, but not compressed", {200, 415}, {200})
def _not_compressed(dice: Random) -> Draft:
    codings = [b"gzip", b"br", b"deflate", b"identity", b"x" * 500]
    return replace(good_json(dice), headers=[b"Content-Encoding: " + dice.choice(codings)])


@KINDS.add("too large", {413}, {413, CLOSED})
def _too_large(dice: Random) -> Draft:
    draft = Draft(b" " * dice.choice([MAX_BODY + 1, 80_000, 200_000]))
    return draft if dice.random() < 0.5 else chunked(draft, dice)


@KINDS.add("an unknown media type", {415})
def _media_type(dice: Random) -> Draft:
    kinds = [b"text/plain", b"application/xml", b"application/jsonx", b"*/*", b"x", b"a" * 4_000]
    kinds += [b"application/json, text/plain", *(text for text in HOSTILE if text.decode().isprintable())]
    return Draft(good_json(dice).body, media_type=dice.choice(kinds))


@KINDS.add("no media type", {200})
def _no_media_type(dice: Random) -> Draft:
    kinds = [None, b"", b" ", b";", b"Application/JSON;charset=\xff", b"application/json;x=y;;"]
    return replace(good_json(dice), media_type=dice.choice(kinds))


# A damaged file may still be a valid image.
@KINDS.add("a damaged image file", {200, 400, 422})
def _image_file(dice: Random) -> Draft:
    file = bytearray(_image_files()[dice.choice(["PNG", "JPEG", "GIF", "BMP"])])
    for _ in range(dice.choice([0, 1, 20])):
        file[dice.randrange(len(file))] = dice.randrange(256)
    if dice.random() < 0.5:
        del file[dice.randrange(len(file)) :]
    return Draft(bytes(file), media_type=dice.choice([b"image/png", b"image/jpeg"]))


@cache
def _image_files() -> dict[str, bytes]:
    files = {}
    for kind in ("PNG", "JPEG", "GIF", "BMP"):
        file = io.BytesIO()
        Image.new("L", (56, 56), 255).save(file, kind)
        files[kind] = file.getvalue()
    return files


@KINDS.add("invalid instances", {400, 422})
def _instances(dice: Random) -> Draft:
    instances = [_no_number(dice) for _ in range(dice.choice([0, 1, 3, 65, 500]))]
    return Draft(json.dumps({"instances": dice.choice([instances, _no_number(dice), 7])}).encode()[:MAX_BODY])


@KINDS.add("an invalid tensor", {400, 422})
def _tensor(dice: Random) -> Draft:
    sizes: list[Any] = [-1, 0, 10**12, 1e3, "1"]
    shapes: list[Any] = [[], [1], [1, 785], *([size, PIXELS] for size in sizes), None, "1", [[1]]]
    tensor = {
        "name": dice.choice(["pixels", "", 7, None, "x" * 5_000]),
        "shape": dice.choice(shapes),
        "datatype": dice.choice(["FP32", "UINT8", "FP16", "BYTES", "", 7, None]),
        "data": dice.choice([[0.5] * PIXELS, [], _no_number(dice), 7]),
        "parameters": dice.choice([{}, {"binary_data_size": dice.choice([-1, 0, PIXELS, 10**12, "784", None])}]),
    }
    for key in dice.sample([*tensor], dice.randrange(3)):
        del tensor[key]
    inputs = dice.choice([[tensor], [tensor], [], [tensor, tensor], tensor, _no_number(dice), 7])
    body = json.dumps({"id": dice.choice(["", 7]), "inputs": inputs}).encode()
    header = b"Inference-Header-Content-Length: " + dice.choice([b"%d" % len(body), b"-1", b"x", b"9" * 30, b"1"])
    return Draft(body + dice.choice([b"", bytes(PIXELS), bytes(4 * PIXELS)]), headers=dice.choice([[], [header]]))


# Each of these once made the other requests of its batch fail, ended the worker, or took as long as fifty requests.
@KINDS.add("a poison", {400, 422})
def poison(dice: Random) -> Draft:
    """A request that only its own sender may suffer from."""
    if dice.random() < 0.1:
        return Draft(_tall_image(), media_type=b"image/png")
    text = dice.choice([b'"\\ud800"', b'"\xff"', b'"' + b"x" * 40_000 + b'"'])
    tensor = b'{"name": "pixels", "shape": [1, 784], "datatype": "FP32", "data": []}'
    wanted = b", ".join([b'{"name": "prediction"}'] * 2_000)
    bodies = [
        b'{"inputs": ' + text + b"}",
        b'{"instances": [' + text + b"]}",
        b'{"data": [' + text + b"]}",
        b"{" + text + b': 0, "data": []}',
        b'{"id": ' + text + b', "inputs": [' + tensor + b"]}",
        b'{"inputs": [' + tensor.replace(b'"FP32"', text) + b"]}",
        b'{"inputs": [' + tensor.replace(b"1, 784", b", ".join([b"1"] * 11_000)) + b"]}",
        b'{"inputs": [' + tensor + b'], "outputs": [{"name": ' + text + b"}]}",
        b'{"inputs": [' + tensor + b'], "outputs": [' + wanted + b"]}",
    ]
    return Draft(dice.choice(bodies))


@cache
def _tall_image() -> bytes:
    file = io.BytesIO()
    Image.new("L", (1, 524_288)).save(file, "PNG")
    return file.getvalue()


@KINDS.add("a form", {415})
def _form(dice: Random) -> Draft:
    if dice.random() < 0.5:
        return Draft(b"data=0.5&data=1&x", media_type=b"application/x-www-form-urlencoded")
    part = b'--x\r\nContent-Disposition: form-data; name="data"; filename="../../x"\r\n\r\n0.5\r\n--x--\r\n'
    return Draft(part, media_type=b"multipart/form-data; boundary=x")


# TorchServe parses forms before our handler sees them, and answers 500 to those that it cannot parse.
@KINDS.add("a broken form", {415}, {400, 403, 415, 500})
def _broken_form(dice: Random) -> Draft:
    if dice.random() < 0.5:
        bodies = [b"%zz", b"a=%", b"=", b"&&", b"a=%zz\r\n2026 [ERROR] forged", b"%zz" + dice.choice(HOSTILE)]
        return Draft(dice.choice(bodies), media_type=b"application/x-www-form-urlencoded")
    boundary = dice.choice([b"", b"; boundary", b"; boundary=", b"; boundary=x", b"; charset=forged; boundary=x"])
    part = b'--x\r\nContent-Disposition: form-data; name=""\r\nContent-Type: x; charset=forged\r\n\r\nx\r\n--x--\r\n'
    return Draft(part[: dice.choice([5, 40, 400])], media_type=b"multipart/form-data" + boundary)
