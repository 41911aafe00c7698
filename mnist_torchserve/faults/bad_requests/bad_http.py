"""Kinds of requests that are bad as HTTP: in their path, method, headers, framing or pace."""

from dataclasses import replace
from random import Random

from .exchanges import CLOSED, Draft, Face, Finish
from .kind import HOSTILE, Kinds, chunked, good

KINDS = Kinds()


@KINDS.add("a header that TorchServe uses itself", {200})
def _own_header(dice: Random) -> Draft:
    names = [b"describe", b"explain", b"requestId", b"x-ts-timeout", b"content-transfer-encoding"]
    values = [b"True", b"true", b"1", b"", b"x" * 1_000]
    return replace(good(dice), headers=[dice.choice(names) + b": " + dice.choice(values)])


@KINDS.add("hostile text in a header", {200, 400})
def _hostile_header(dice: Random) -> Draft:
    names = [b"X-Note", b"X-Request-Id", b"User-Agent", b"Referer", b"traceparent", b"X-Forwarded-For"]
    values = [*HOSTILE, b"\x00", b"\xff\xfe", b"\rx: y", b"\r\n folded"]
    return replace(good(dice), headers=[dice.choice(names) + b": x" + dice.choice(values)])


@KINDS.add("huge headers", {400, 431}, {200, 400, 431})
def _many_headers(dice: Random) -> Draft:
    many = [[b"X%d: x" % n for n in range(500)], [b"X: " + b"x" * 20_000], [b"X" * 20_000 + b": x"]]
    return replace(good(dice), headers=dice.choice(many))


@KINDS.add("an invalid header", {400})
def _no_header(dice: Random) -> Draft:
    lines = [b"no colon", b": x", b"X : x", b"X\x00: x", b"Transfer-Encoding:\x0bchunked"]
    return replace(good(dice), headers=[dice.choice(lines)])


@KINDS.add("another path", {400, 404, 405}, {400, 403, 404})
def _path(dice: Random) -> Draft:
    paths = [b"/predictions", b"/predictions/", b"/predictions/mnist/9.9", b"/models/mnist", b"/workflows", b"/metrics"]
    paths += [b"/..", b"/x/../../models", b"/%2e%2e/%2e%2e/etc/passwd", b"/predictions/../models", b"/predictions/%00"]
    paths += [b"/" + b"a" * 5_000, b"/" + b"../" * 900, b"/predictions/" + b"%2e" * 1_000, b"/%zz", b"/%", b"/%ff"]
    paths += [b"/%0d%0ax:%20forged", b"/%n%zz", b"/\x1b[31m%zzforged", b"/${jndi:ldap://127.0.0.1:9/forged}%zz"]
    return Draft(good(dice).body, path=dice.choice(paths))


# TorchServe reads the second part of the path, and fails if there is only one.
@KINDS.add("an invalid path", {400, 404}, {400, 404, 500})
def _no_path(dice: Random) -> Draft:
    return Draft(good(dice).body, path=dice.choice([b"*", b"x", b"http:", b"?", b"\\predict"]))


@KINDS.add("another method", {405, 400}, {200})
def _method(dice: Random) -> Draft:
    methods = [b"GET", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT", b"FORGED"]
    return replace(good(dice), method=dice.choice(methods))


@KINDS.add("an invalid request line", {400, 426}, {400})
def _request_line(dice: Random) -> Draft:
    return Draft(version=dice.choice([b"", b"HTTP/1.1 x", b"HTTP/1.1\x00", b"HTTP/x"]), length=b"")


@KINDS.add("another protocol", {400, 426, CLOSED}, {400, 404, 500, CLOSED})
def _protocol(dice: Random) -> Draft:
    texts = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00", b"SSH-2.0-x\r\n", b"\x80\xff", b"EHLO x\r\n\r\n"]
    return Draft(method=dice.choice(texts) + dice.randbytes(200).replace(b"\n", b""), length=b"", finish=Finish.SHUT)


@KINDS.add("two lengths", {400}, {400, 413})
def _two_lengths(dice: Random) -> Draft:
    draft = good(dice)
    other = dice.choice([b"0", b"5", b"%d" % len(draft.body), b"%d" % (len(draft.body) + 9), b"70000"])
    return replace(draft, headers=[b"Content-Length: " + other])


@KINDS.add("an invalid length", {400, CLOSED}, {200, 400, CLOSED})
def _no_length(dice: Random) -> Draft:
    draft = good(dice)
    size = b"%d" % len(draft.body)
    draft.length = dice.choice([b"-5", b"0x10", b"x", b"9" * 30, size + b", " + size, b"+" + size, b"1e3", b"\xb2"])
    draft.finish = Finish.SHUT if draft.length == b"-5" else Finish.READ  # which TorchServe never answers
    return draft


@KINDS.add("in chunks", {200})
def _in_chunks(dice: Random) -> Draft:
    return chunked(good(dice), dice)


@KINDS.add("bad chunks", {400, CLOSED}, {400, CLOSED})
def _bad_chunks(dice: Random) -> Draft:
    first = dice.choice([b"zz", b"-5", b"ffffffffffffffffffff", b"5 5", b"", b"0x10", b"\x00", b"80000000"])
    body = first + b"\r\n0.5\r\n0\r\n\r\n"
    return Draft(body, headers=[b"Transfer-Encoding: chunked"], length=b"", finish=Finish.SHUT)


@KINDS.add("chunks and a length", {400}, {200})
def _chunks_and_length(dice: Random) -> Draft:
    draft = chunked(good(dice), dice)
    return replace(draft, length=dice.choice([b"0", b"5", b"%d" % len(draft.body)]))


@KINDS.add("an unknown transfer coding", {400}, {200, 400})
def _transfer_coding(dice: Random) -> Draft:
    draft = chunked(good(dice), dice)
    codings = [b"xchunked", b"gzip, chunked", b"chunked, identity", b"chunked, chunked"]
    codings += [b"chunked\r\nTransfer-Encoding: x"]
    draft.headers[-1] = b"Transfer-Encoding: " + dice.choice(codings)
    return draft


# TorchServe refuses an unknown expectation, and then reads the body as the next request. On a connection that several
# clients share, the next client would get that request's answer.
@KINDS.add("a request within a request", {400}, {417})
def _request_within(dice: Random) -> Draft:
    within = good(dice).wire(Face(dice.choice([b"/predictions/mnist", b"/ping"]), b"", is_gateway=False))
    return Draft(within, headers=[b"Expect: " + dice.choice([b"200-ok", b"x", b"100-continued"])])


@KINDS.add("Expect: 100-continue", {200})
def _goes_on(dice: Random) -> Draft:
    return replace(good(dice), headers=[b"Expect: 100-continue"])


@KINDS.add("an upgrade", {200})
def _upgrade(dice: Random) -> Draft:
    protocols = [b"websocket", b"h3", b"x"]
    return replace(good(dice), headers=[b"Connection: Upgrade", b"Upgrade: " + dice.choice(protocols)])


# TorchServe alone sends pipelined answers as soon as they are ready, not in the order of the requests.
@KINDS.add("pipelined requests", {200}, set())
def _pipeline(dice: Random) -> Draft:
    return replace(good(dice), follows=good(dice))


@KINDS.add("sent slowly", {200})
def _slow(dice: Random) -> Draft:
    draft = good(dice)
    draft.size, draft.pause = dice.choice([(300, 0.01), (1_000, 0.05), (60, 0.002)])
    return draft


@KINDS.add("half sent", {CLOSED})
def _half_sent(dice: Random) -> Draft:
    return replace(good(dice), sent=dice.uniform(0.0, 0.99), finish=Finish.SHUT)


@KINDS.add("dropped", {CLOSED})
def _dropped(dice: Random) -> Draft:
    return replace(good(dice), sent=dice.choice([dice.random(), 1.0]), finish=Finish.DROP)
