"""What a container says: one JSON object a line, whatever its processes print."""

import json
import os

import pytest
from mnist_torchserve import container


def relayed(said: bytes, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    source, output = os.pipe()
    os.write(output, said)
    os.close(output)
    container.relay_lines(source, "gateway")
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_line_of_json_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert relayed(b'{"level":"WARN","message":"x"}\n', capsys) == [{"level": "WARN", "message": "x"}]


@pytest.mark.parametrize(
    ("said", "messages"),
    [
        (b'WARNING: "sun.misc.Unsafe"\n', ['WARNING: "sun.misc.Unsafe"']),
        (b"\n  \nlast words", ["last words"]),
        (b"\xff\x00\x1b[2J\n", ["\ufffd\x00\x1b[2J"]),
        ("é\u2028x\r\n".encode(), ["é\u2028x"]),
        (b"{not json}\n", ["{not json}"]),
        (b'{"a": 1\n', ['{"a": 1']),
    ],
)
def test_other_line_is_the_message_of_one(said: bytes, messages: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = relayed(said, capsys)
    assert [line["message"] for line in lines] == messages
    assert all(line["logger"] == "gateway" for line in lines)
