"""docs/troubleshooting.md: the messages that it explains are ones that we write."""

import re

from mnist_torchserve.project import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"


def test_messages_are_those_that_the_code_writes() -> None:
    code = "".join(
        file.read_text()
        for folder in ("handler", "mnist_torchserve", "scripts", "tests/support")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", "") and file.is_file()
    )
    said = re.sub(r"\{[^{}]*\}", "…", re.sub(r'"\s*\n\s*f?"', "", code))  # pieces of a string on several lines
    start = (
        PAGE.read_text().split("## Answers")[0]
        + PAGE.read_text().split("## Tests and load")[1].split("## Exit codes")[0]
    )
    messages = re.findall(r"^\| (`+)(.*?)\1", start, re.MULTILINE)
    assert len(messages) >= 20
    for _, message in messages:
        pieces = [piece.strip(" :'") for piece in re.split("…|TorchServe|: ", message)]  # a name may be put in
        missing = [piece for piece in pieces if piece not in said]
        assert not missing, f"nobody says {missing} of {message!r}"
