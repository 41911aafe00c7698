"""KServe's protocols, in which one request has several images. Each reads a request, and writes one answer to it."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple, Self

import numpy as np
from ..types import PIXELS, Outcome, Pixels, Refusal, Response


class Images(NamedTuple):
    """The images of one request, and the function that joins their outcomes into one answer."""

    pixels: Pixels  # (k, 784); the row of a refused image is zeros
    refusals: dict[int, Refusal]  # by image
    join: Callable[[Sequence[Outcome]], bytes]

    @classmethod
    def none(cls, refusal: Refusal) -> Self:
        """Return a request that is refused as a whole."""
        return cls(np.zeros((1, PIXELS), np.float32), {0: refusal}, lambda _: b"")

    def respond(self, outcomes: Sequence[Outcome]) -> Response:
        """Return the response. If no image has a prediction, the request is refused with the reason of the first.

        The protocols' clients look for the reason in the member `error`.
        """
        refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        if len(refusals) < len(outcomes):
            return Response(HTTPStatus.OK, self.join(outcomes))
        return Response(refusals[0].status, refusals[0].encode(error=str(refusals[0])))
