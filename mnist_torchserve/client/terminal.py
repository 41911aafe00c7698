"""Images beside what a service says of them, in a terminal: two pixels in a character where it has colours."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from classifier.types import SIDE, Pixels, Refusal
from . import digits

BESIDE = 40  # columns that an answer needs beside its image
UNSURE = 0.5  # confidence below which there may be no digit at all


class Terminal:
    """Where images are shown."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._draw = _half_blocks if self._console.color_system else _shades

    def show(self, name: str, image: Pixels | Refusal, answer: dict[str, Any]) -> None:
        """Print one image beside its answer, `{"prediction", "confidence"}` or `{"code", "message"}`."""
        said = Text(name, style="bold")
        if "prediction" in answer:
            lines = f"\n\nprediction  {answer['prediction']}\nconfidence  {answer['confidence']:.4f}"
            said.append(lines, style="not bold")
            said.append(_bars(answer.get("probabilities", [])), style="not bold")
            if answer["confidence"] < UNSURE:
                said.append("\n\nThis may be no digit, or one that is hard to read.", style="not bold yellow")
        else:
            said.append(f"\n\n{answer['code']}  {answer['message']}", style="not bold red")
        drawing = Text() if isinstance(image, Refusal) else self._draw(image)
        if self._console.width < SIDE + BESIDE:
            self._console.print(drawing, said, "", sep="\n")
            return
        grid = Table.grid(padding=(0, 3))
        grid.add_column(min_width=SIDE)
        grid.add_row(drawing, said)
        self._console.print(grid, "")


def _bars(probabilities: list[float]) -> str:
    """Whatever else an image might be, likeliest first: a line for each digit of at least a hundredth."""
    likely = sorted(((each, digit) for digit, each in enumerate(probabilities) if each >= 0.01), reverse=True)
    return "".join(f"\n{digit} {'█' * max(1, round(20 * each)):20} {each:.2f}" for each, digit in likely)


def _half_blocks(image: Pixels) -> Text:
    """An image (784,) in 14 lines of 28 characters, in its own greys."""
    lines = [Text() for _ in range(SIDE // 2)]
    for line, pair in zip(lines, digits.levels(image).reshape(SIDE // 2, 2, SIDE), strict=True):
        for top, bottom in pair.T.tolist():
            line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
    return Text("\n").join(lines)


def _shades(image: Pixels) -> Text:
    """An image (784,) in at most 14 lines of shades, for paper and pipes."""
    return Text(digits.draw(digits.levels(image)))
