"""The classifier: bodies of requests in, digits with their confidences out. The archive contains all of it.

request ── batch.read ──> pixels (n, 784) ── runtime ──> probabilities (n, 10) ── Batch.responses ──> response
              │
              │  one reader for each request, by its media type and the key at the top of its JSON
              ├── payload: one image, as JSON, as bytes, or as a picture (images)
              └── protocols: several images, as KServe's v1 or v2

Every image of every request is one row of the batch. An image that cannot be read has a `Refusal` instead of a
prediction. The request's protocol writes both into the response.
"""
