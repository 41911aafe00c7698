"""Shows images next to a service's answers in a terminal: two pixels in a character if it has colours."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from classifier.types import SIDE, Pixels, Refusal
from . import digits

BESIDE = 50  # columns that an answer needs next to its image
UNSURE = 0.5  # below this confidence there may be nothing that the model knows
NAME = 20  # characters of a class's name in a line of its own, at most


class Terminal:
    """The terminal that shows images."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._draw = _half_blocks if self._console.color_system else _shades

    def show(self, name: str, image: Pixels | Refusal, answer: dict[str, Any]) -> None:
        """Print one image next to its answer, `{"prediction", "confidence"}` or `{"code", "message"}`."""
        said = Text(name, style="bold")
        if "prediction" in answer:
            named = f" ({_printable(answer['label'])})" if "label" in answer else ""
            lines = f"\n\nprediction  {answer['prediction']}{named}\nconfidence  {answer['confidence']:.4f}"
            said.append(lines, style="not bold")
            said.append(_bars(answer.get("probabilities", []), answer.get("labels", [])), style="not bold")
            if answer["confidence"] < UNSURE:
                said.append("\n\nThis may be none of the classes, or hard to read.", style="not bold yellow")
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


def _bars(probabilities: Sequence[float], labels: Sequence[str]) -> str:
    """Draw a line for each class with a probability of at least a hundredth, likeliest first, with its name if any."""
    likely = sorted(((each, number) for number, each in enumerate(probabilities) if each >= 0.01), reverse=True)
    names = [_printable(labels[number])[:NAME] if number < len(labels) else str(number) for _, number in likely]
    width = max(map(len, names), default=0)
    bars = ["█" * max(1, round(20 * each)) for each, _ in likely]
    lines = zip(names, bars, likely, strict=True)
    return "".join(f"\n{name:{width}} {bar:20} {each:.2f}" for name, bar, (each, _) in lines)


def _printable(name: object) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(name))


def _half_blocks(image: Pixels) -> Text:
    """Draw an image (784,) in 14 lines of 28 characters, in its own greys."""
    lines = [Text() for _ in range(SIDE // 2)]
    for line, pair in zip(lines, digits.levels(image).reshape(SIDE // 2, 2, SIDE), strict=True):
        for top, bottom in pair.T.tolist():
            line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
    return Text("\n").join(lines)


def _shades(image: Pixels) -> Text:
    """Draw an image (784,) in at most 14 lines of shades, for paper and pipes."""
    return Text(digits.draw(digits.levels(image)))
