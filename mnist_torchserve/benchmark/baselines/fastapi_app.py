"""The FastAPI service, rewritten from its documentation, with the weights of this project: the first baseline.

uvicorn mnist_torchserve.benchmark.baselines.fastapi_app:app
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import torch
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from classifier.network import DigitNetwork
from mnist_torchserve.project import MODEL_STORE

WEIGHTS = MODEL_STORE / "mnist.pt"

model: DigitNetwork | None = None


class MnistInput(BaseModel):
    """A 28×28 image as 784 numbers."""

    data: list[float]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Load the model at the start, and release it at the end."""
    global model
    model = DigitNetwork()
    model.load_state_dict(torch.load(WEIGHTS, weights_only=True)["state_dict"])
    model.eval()
    yield
    model = None


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def root() -> dict[str, str]:
    """A welcome message."""
    return {"message": "Welcome to the UAAG2 MNIST model inference API!"}


@app.get("/health")
async def health() -> dict[str, str | bool]:
    """Whether the model is loaded."""
    return {"status": "healthy" if model else "unhealthy", "model_loaded": model is not None}


@app.post("/predict")
async def predict(payload: MnistInput) -> dict[str, int | float]:
    """The digit that an image shows."""
    if model is None:
        raise HTTPException(503, "Model not loaded")
    if len(payload.data) != 784:
        raise HTTPException(422, f"Expected 784 values, got {len(payload.data)}")
    with torch.no_grad():
        probabilities = model(torch.tensor([payload.data])).softmax(dim=1)[0, :10]
    confidence, prediction = probabilities.max(dim=0)
    return {"prediction": int(prediction), "confidence": float(confidence)}
