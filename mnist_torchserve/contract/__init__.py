"""The contract: what any deployment of the service must do, for whoever looks from outside.

It needs `requests` and nothing else, so that a machine that only makes load needs no more than Locust. Nothing here
comes from the code that is served: what is expected is said independently of it.
"""

from .answers import MAX_CLASSES, Answer
from .authorities import trust_alike
from .bad_inputs import BAD_INPUTS, MAX_BODY, BadInput
from .deployment import TIMEOUT, Deployment, on_next_port
from .model import MNIST, model, reads_digits
from .sample import CLASSES, PIXELS, blank, sample

__all__ = ["BAD_INPUTS", "CLASSES", "MAX_BODY", "MAX_CLASSES", "MNIST", "PIXELS", "TIMEOUT"]
__all__ += [
    "Answer",
    "BadInput",
    "Deployment",
    "blank",
    "model",
    "on_next_port",
    "reads_digits",
    "sample",
    "trust_alike",
]
