"""Changes digits as if other people had written them: random affine maps and slight bending, on whole batches."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's usual name
from numpy.typing import NDArray
from torch import Generator, Tensor
from classifier.types import SIDE


@dataclass(frozen=True)
class Ranges:
    """How far a digit may be moved. Every parameter is drawn uniformly from minus to plus its range."""

    rotation: float  # degrees
    scale: float  # around 1
    shear: float
    shift: float  # pixels
    elastic: float = 0.0  # standard deviation of the displacement, in pixels


def moved(rng: np.random.Generator, images: NDArray[np.float32], ranges: Ranges) -> NDArray[np.float32]:
    """Distort images (N, 784) by what NumPy's generator draws."""
    seed = Generator().manual_seed(int(rng.integers(2**31)))
    return distort(torch.from_numpy(images), ranges, seed).numpy()


def distort(pixels: Tensor, ranges: Ranges, generator: Generator, *, graded: bool = False) -> Tensor:
    """Return `pixels` (B, 784) moved within `ranges`. If `graded`, each image moves by a random share of them.

    Elastic bending follows Simard, Steinkraus and Platt, "Best practices for convolutional neural networks
    applied to visual document analysis" (2003), with a coarse grid of displacements instead of their
    smoothed field.
    """
    count = len(pixels)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * 2 - 1

    share = torch.rand(count, generator=generator) if graded else torch.ones(count)
    angle = uniform() * share * math.radians(ranges.rotation)
    scale = 1 + uniform() * share * ranges.scale
    shear = uniform() * share * ranges.shear
    shift = uniform(2) * share[:, None] * ranges.shift * 2 / SIDE  # grid coordinates run from -1 to 1

    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    linear = torch.stack([cos, cos * shear - sin, sin, sin * shear + cos], dim=1).reshape(-1, 2, 2)
    affine = torch.cat([linear, shift[:, :, None]], dim=2)  # (B, 2, 3)
    grid = F.affine_grid(affine, [count, 1, SIDE, SIDE], align_corners=False)
    if ranges.elastic:
        coarse = torch.randn(count, 2, 5, 5, generator=generator) * share[:, None, None, None]
        bent = F.interpolate(coarse, (SIDE, SIDE), mode="bilinear", align_corners=True)
        grid = grid + bent.permute(0, 2, 3, 1) * (ranges.elastic * 2 / SIDE)
    images = F.grid_sample(pixels.reshape(-1, 1, SIDE, SIDE), grid, padding_mode="zeros", align_corners=False)
    return images.reshape(count, -1)
