"""`scripts/train` with images of a user's own, and names of models: what is wrong gets one sentence."""

import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mnist_torchserve.commands import archive, serve, train
from mnist_torchserve.service import TorchServe
from mnist_torchserve.training import campaign, dataset, pictures
from tests.support.idx_files import write_shapes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_shapes(tmp_path / "shapes")


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: object) -> str:
    """What the command says as it ends with exit code 1, on one line."""
    monkeypatch.setattr(sys, "argv", ["train", *map(str, options)])
    assert train.main() == 1
    output = capsys.readouterr()
    assert not output.out
    assert output.err.startswith("scripts/train: ")
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize(
    ("main", "option"), [(archive.main, "--name"), (serve.main, "--model"), (train.main, "--idx=shapes --name")]
)
@pytest.mark.parametrize("name", ["", "t bad", "a/b", "../x", "a.mar", "-x", "x" * 65, "größe", "a\nb"])
def test_a_name_that_no_route_can_have_gets_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    main: Callable[[], int | None],
    option: str,
    name: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *f"{option}=".split(" ")])
    sys.argv[-1] += name
    status: object
    try:
        status = main()
    except SystemExit as ended:
        status = ended.code
    told = status if isinstance(status, str) else capsys.readouterr().err
    assert status not in (0, None)
    assert "Expected a model's name of at most 64 letters" in told
    assert told.strip().count("\n") == 0


def test_an_empty_name_is_not_mnists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert "Expected a model's name" in said(monkeypatch, capsys, "--idx", folder, "--name", "")


def test_labels_are_counted_by_their_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "names.txt"
    labels.write_text("across\ndown\n")
    told = said(monkeypatch, capsys, "--idx", folder, "--name", "x", "--labels", labels)
    assert f"Expected a label for each of 3 classes, got 2 in {labels}" in told
    assert str(folder) in told


@pytest.mark.parametrize("seed", ["-1", "x", str(2**63)])
def test_a_seed_that_nothing_can_be_drawn_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, seed: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--idx", str(folder), "--name", "x", f"--seeds={seed}"])
    with pytest.raises(SystemExit):
        train.main()
    assert "expected a number from 0 to 4294967295" in capsys.readouterr().err


def test_a_missing_model_is_said_before_the_service_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TorchServe, "process", lambda _: psutil.Process())
    for options in (["--model", "never-made"], ["--model", "mnist", "--model", "never-made", "--gateway"]):
        monkeypatch.setattr(sys, "argv", ["serve", *options])
        with pytest.raises(SystemExit, match="There is no model `never-made`"):
            serve.main()


@pytest.mark.parametrize("step", ["draw", "publish"])
def test_interrupted_mnist_leaves_weights_and_card_as_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, step: str
) -> None:
    old = {"model_store/mnist.pt", "model_store/mnist.onnx", "docs/model_card.md", "docs/model_card/old.png"}
    for name in old:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")

    def publish(_: object, __: object, ___: object, folder: Path) -> dict[str, str]:
        (folder / "mnist.pt").write_text("new")
        if step == "publish":
            raise KeyboardInterrupt
        return {}

    def draw(_: object, __: object, ___: object, folder: Path) -> None:
        (folder / "new.png").write_text("new")
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "load", lambda _: None)
    monkeypatch.setattr(train, "train", lambda *_: ([], {}))
    monkeypatch.setattr(campaign, "choose", lambda _: None)
    monkeypatch.setattr(campaign, "publish", publish)
    monkeypatch.setattr(pictures, "draw", draw)
    monkeypatch.setattr(sys, "argv", ["train", "--output", str(tmp_path)])
    assert train.main() == 130
    assert capsys.readouterr().err.startswith("\nInterrupted. Run scripts/train again")
    left = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == dict.fromkeys(old, "old")
