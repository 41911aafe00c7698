"""The options of scripts/archive: what is wrong with them is said, and none is ignored."""

import re
from pathlib import Path

import pytest
from mnist_torchserve.commands import archive, labels
from mnist_torchserve.packaging.errors import PackagingError
from mnist_torchserve.packaging.package import Brought, package
from tests.packaging.test_foreign_onnx import write


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What the command says before it ends with an error."""
    monkeypatch.setattr("sys.argv", ["archive", *options])
    with pytest.raises(SystemExit) as ended:
        archive.main()
    assert ended.value.code not in (0, None)
    return f"{ended.value.code} {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--name n --onnx x.onnx --weights w.pth", "--weights needs --model-file or --model"),
        ('--name n --onnx x.onnx --model-args {"a":1}', "--model-args needs --model-file or --model"),
        ("--name n --onnx x.onnx --model-class Net", "--model-class needs --model-file"),
        ("--name n --model a.b:Net --model-class Net", "--model-class needs --model-file"),
        ("--name n --model-file x.py --weights w --transpose", "--transpose needs --calibrate"),
        ("--name n --dark-on-light", "--dark-on-light needs --model-file, --model or --onnx"),
        ("--name n --normalize 0.1 0.3", "--normalize needs --model-file, --model or --onnx"),
        ("--name n --pictures plain", "--pictures needs --model-file, --model or --onnx"),
        ("--name n --pictures mnist", "--pictures needs --model-file, --model or --onnx"),
        ("--calibrate folder", "--calibrate needs --model-file, --model or --onnx"),
        ("--weights w.pth", "--weights needs --model-file or --model"),
    ],
)
def test_no_option_is_ignored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str, words: str
) -> None:
    assert words in said(monkeypatch, capsys, *options.split())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("33.3 78.5", "from 0 to 1 .* --normalize 0.130588 0.307843"),
        ("127.5 127.5", "--normalize 0.5 0.5"),
        ("0 255", "--normalize 0 1"),
        ("-1 0.5", "a mean from 0 to 1"),
        ("0.5 0", "a standard deviation above 0"),
        ("nan 1", "a mean from 0 to 1"),
        ("0 nan", "a standard deviation above 0"),
    ],
)
def test_normalization_that_no_pixels_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, words: str
) -> None:
    options = ["--name", "n", "--onnx", "none.onnx", "--normalize", *given.split()]
    assert re.search(words, said(monkeypatch, capsys, *options))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_names_of_classes_are_read_as_they_are_seen(tmp_path: Path, encoding: str, ending: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(ending.join(["ä", "b b", "c", ""]).encode(encoding))
    assert labels(str(file)) == ["ä", "b b", "c"]


def test_names_of_classes_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "names.txt"
    file.write_text("a\nb\nc\nb \n")
    found = said(monkeypatch, capsys, "--name", "n", "--onnx", "x.onnx", "--labels", str(file))
    assert "names.txt has b twice" in found


def test_number_of_names_is_said_with_their_file(tmp_path: Path) -> None:
    brought = Brought(
        name="n", network=write(tmp_path / "x.onnx"), labels=["a", "b"], labels_file=tmp_path / "names.txt"
    )
    with pytest.raises(PackagingError, match=r"a label for each of 7 classes in .*names\.txt, got 2"):
        package(brought, tmp_path / "x" / "archive", lambda _: None)
