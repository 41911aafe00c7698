"""Train the network from nothing: data, three seeds, choice, weights files, model card.

Takes about 15 minutes on two cores. Interrupted, it goes on after the last whole epoch when it is run again.
"""

import sys
from pathlib import Path

from mnist_torchserve.project import ROOT
from mnist_torchserve.training import campaign, dataset, model_card, pictures, provenance, targets
from mnist_torchserve.training.fit import Configuration
from . import command_line


def main() -> int:
    """Run the command and return its exit status: 1 if a target is missed."""
    parser = command_line("train", __doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="default: 1 2 3")
    parser.add_argument("--epochs", type=int, default=Configuration().epochs, help="default: %(default)s")
    parser.add_argument("--idx", type=Path, metavar="FOLDER", help="read MNIST's four IDX files, download nothing")
    parser.add_argument(
        "--output", type=Path, default=ROOT, metavar="FOLDER", help="where model_store/ and docs/ are written"
    )
    options = parser.parse_args()
    try:
        digits = dataset.load(options.idx)
    except dataset.DatasetError as error:
        print(f"scripts/train: {error}", file=sys.stderr)
        return 1
    configuration = Configuration(epochs=options.epochs)
    work = ROOT / ".run" / "training"
    now = provenance.begin(work / "story.json", configuration, digits)
    seeds = ", ".join(map(str, options.seeds))
    print(f"Training seeds {seeds} on {len(digits.train.labels):,} digits, a thread each, on {now['machine']}.")
    print("Drawing what is no digit takes the first minute.", flush=True)
    try:
        outcomes = campaign.run(options.seeds, configuration, digits, work, now)
    except KeyboardInterrupt:
        print("\nInterrupted. Run scripts/train again to go on after the last whole epoch.", file=sys.stderr)
        return 130
    chosen = campaign.choose(outcomes)
    model_dir, docs = options.output / "model_store", options.output / "docs"
    for folder in (model_dir, docs / "model_card"):
        folder.mkdir(parents=True, exist_ok=True)
    told = campaign.publish(chosen, outcomes, now, model_dir)
    pictures.draw(chosen, outcomes, digits.test, docs / "model_card")
    (docs / "model_card.md").write_text(model_card.text(told), encoding="utf-8")
    figures = list(told["seeds"].values())
    print(targets.table(told["metrics"], figures))
    print(f"Seed {chosen.seed} has the lowest NLL on validation.")
    print(f"Wrote mnist.onnx and mnist.pt to {model_dir}, and model_card.md with its pictures to {docs}.")
    return 1 if targets.missed(told["metrics"], figures) else 0
