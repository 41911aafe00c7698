"""The classifier: bodies of requests in, digits with their confidences out. Travels whole in the archive.

request ── batch.read ──> pixels (n, 784) ── runtime ──> probabilities (n, 10) ── Batch.responses ──> response
              │
              │  one reader for each request, by its media type and the key at the top of its JSON
              ├── payload: one image, as JSON, as bytes, or as a picture (images)
              └── protocols: several images, as KServe's v1 or v2

Every image of every request is one row of the batch. What cannot be read is a `Refusal` in the place of its prediction,
to the end, where the request's own protocol writes both.
"""
