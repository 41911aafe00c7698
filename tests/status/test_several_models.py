"""The picture of several models in one TorchServe: each has its own figures, and many classes or long names fit in."""

import re
import time
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console
from mnist_torchserve.status import overview
from mnist_torchserve.status.observation import Observation
from mnist_torchserve.status.scrape import Scrape

WIDTHS = [80, 120]


def page(models: Mapping[str, Sequence[int]], late: Sequence[str] = ()) -> str:
    """A page of metrics: each model's predictions by class, all from batches of one more than the model before."""
    lines = ["classifier_frontend_resident_memory_bytes 1e8"]
    for size, (name, counts) in enumerate(models.items(), 1):
        of = f'model="{name}"'
        lines += [f'classifier_predictions_total{{class="{number}",{of}}} {n}' for number, n in enumerate(counts)]
        lines += [f'classifier_confidence_bucket{{le="{le}",{of}}} {sum(counts)}' for le in ("0.5", "+Inf")]
        lines += [f"classifier_confidence_sum{{{of}}} {sum(counts) * size / 10}"]
        lines += [f"classifier_confidence_count{{{of}}} {sum(counts)}"]
        lines += [f"classifier_batch_size_sum{{{of}}} {sum(counts) * size}"]
        lines += [f"classifier_batch_size_count{{{of}}} {sum(counts)}"]
        lines += [f'ts_queue_latency_microseconds{{model_name="{name}"}} {sum(counts) * size * 1000}']
        lines += [f'ts_inference_requests_total{{model_name="{name}"}} {sum(counts)}']
        lines += [f'classifier_refusals_total{{reason="{"range" if size == 1 else "size"}",{of}}} {sum(counts)}']
        at = time.time() - 60 * (name in late)
        for worker in range(size):
            lines += [f'classifier_worker_report_timestamp_seconds{{worker="{name}{worker}",{of}}} {at}']
            lines += [f'classifier_worker_resident_memory_bytes{{worker="{name}{worker}",{of}}} {2**20}']
    return "\n".join(lines) + "\n"


def shown(
    models: Mapping[str, Sequence[int]],
    labels: Mapping[str, Sequence[str]],
    width: int,
    problems: Sequence[str] = (),
    late: Sequence[str] = (),
) -> str:
    """What a terminal shows after these predictions."""

    def observation(counts: Mapping[str, Sequence[int]]) -> Observation:
        named = {name: labels.get(name, ()) for name in counts}
        return Observation(True, list(problems), Scrape([page(counts, late)]), "25", named)

    before = observation({name: [0] * len(counts) for name, counts in models.items()})
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(overview.render(before, observation(models), 1))
    return capture.get()


def part(text: str, title: str, width: int) -> list[list[str]]:
    """The rows of the panel with this title, each as its words."""
    [top] = [line for line in text.splitlines() if f" {title} " in line]
    left = top.index(f" {title} ") - 2
    rows = [line[left:] for line in text[text.index(top) :].splitlines()[1:]]
    cells = [row[1 : row.index("│", 1)] for row in rows[: next(i for i, row in enumerate(rows) if row[0] == "╰")]]
    assert all(len(line) <= width for line in text.splitlines())
    return [cell.split() for cell in cells]


@pytest.mark.parametrize("width", WIDTHS)
def test_each_model_has_its_own_figures(width: int) -> None:
    text = shown({"mnist": [30, 10, 0], "fashion": [0, 15, 5]}, {"fashion": ["shoe", "coat", "bag"]}, width)
    for name, size, refusals in (("mnist", 1, "40 range"), ("fashion", 2, "20 size")):
        figures = {words[0]: words for words in part(text, f"Model {name}", width)}
        assert figures["queue"][1:] == [str(size), "ms"]
        assert figures["images"][-1] == str(size)
        assert figures["refusals"][1:] == refusals.split()
        assert figures["workers"][2:] == [str(size), "of", str(size)]
        assert figures["workers'"][2:] == [str(size), "MiB"]
    assert [row[:2] for row in part(text, "Predictions of mnist", width)] == [["0", "75%"], ["1", "25%"], ["2", "0%"]]
    assert [row[:3] for row in part(text, "Predictions of fashion", width)] == [
        ["0", "shoe", "0%"],
        ["1", "coat", "75%"],
        ["2", "bag", "25%"],
    ]
    assert "Confidence of mnist, mean 0.1" in text
    assert "Confidence of fashion, mean 0.2" in text
    server = {words[0]: words[-2:] for words in part(text, "TorchServe", width)}
    assert server["workers'"] == ["3", "MiB"], "of all"


@pytest.mark.parametrize("width", WIDTHS)
def test_workers_of_one_model_that_fall_silent_are_its_own(width: int) -> None:
    problem = "TorchServe, model fashion: no answer from it."
    text = shown({"mnist": [1], "fashion": [1]}, {}, width, [problem], late=["fashion"])
    assert f"● unhealthy: {problem}" in text
    assert ["workers", "alive", "1", "of", "1"] in part(text, "Model mnist", width)
    assert ["workers", "alive", "0", "of", "2"] in part(text, "Model fashion", width)


def test_one_model_is_the_whole_picture() -> None:
    text = shown({"mnist": [1] * 10}, {}, 120)
    assert "Model" not in text
    titles = re.findall(r"╭─ (.+?) ─*╮", text)
    assert titles == ["TorchServe", "Predictions", "Confidence, mean 0.1"]
    names = [" ".join(words[:2]) for words in part(text, "TorchServe", 120)]
    assert names[-4:] == ["workers alive", "JVM's memory", "workers' memory", "Java 25"]
    assert [row[:2] for row in part(text, "Predictions", 120)] == [[str(digit), "10%"] for digit in range(10)]


@pytest.mark.parametrize("width", WIDTHS)
def test_of_a_hundred_classes_the_most_frequent_are_shown(width: int) -> None:
    counts = [1] * 100
    counts[42], counts[7] = 60, 41
    # Names may be long, alike, empty, or with anything in them.
    labels = [f"a name that is much too long for a table {n}" for n in range(98)] + ["", "[red]\n\x1b[31m"]
    text = shown({"mnist": [5] * 10, "hundred": counts}, {"hundred": labels}, width)
    rows = part(text, "Predictions of hundred", width)
    assert len(rows) <= 13, "no taller than the panel beside it"
    assert [row[0] for row in rows[:2]] == ["42", "7"]
    assert [re.search(r"(\d+)%", " ".join(row))[1] for row in rows[:2]] == ["30", "21"]  # type: ignore[index]  # None would fail the test too
    assert rows[-1][:2] == ["89", "others"]
    assert rows[-1][2] == f"{89 / 199:.0%}"
    assert "\x1b" not in text


def test_names_are_shown_as_they_are() -> None:
    text = shown({"three": [2, 1, 1]}, {"three": ["[red]", "", "two\nlines \x1b[31m"]}, 80)
    assert [row[:3] for row in part(text, "Predictions", 80)] == [
        ["0", "[red]", "50%"],
        ["1", "25%", "████████"],
        ["2", "two", "lines"],
    ]
    assert "\x1b" not in text
