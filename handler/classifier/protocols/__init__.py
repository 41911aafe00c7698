"""KServe's protocols, in which one request has several images. Each reads its request, and writes its answer once."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple, Self

import numpy as np
from ..types import PIXELS, Outcome, Pixels, Refusal, Response


class Images(NamedTuple):
    """The images of one request, and what makes one answer of what becomes of them."""

    pixels: Pixels  # (k, 784); the row of an image that is refused is zeros
    refusals: dict[int, Refusal]  # by image
    join: Callable[[Sequence[Outcome]], bytes]

    @classmethod
    def none(cls, refusal: Refusal) -> Self:
        """A request that is refused as a whole."""
        return cls(np.zeros((1, PIXELS), np.float32), {0: refusal}, lambda _: b"")

    def respond(self, outcomes: Sequence[Outcome]) -> Response:
        """The request's response; one none of whose images has a prediction is refused with the first's reason.

        The protocols' clients look for the reason in the member `error`.
        """
        refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        if len(refusals) < len(outcomes):
            return Response(HTTPStatus.OK, self.join(outcomes))
        return Response(refusals[0].status, refusals[0].encode(error=str(refusals[0])))
