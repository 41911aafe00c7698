// The service that this page comes from, asked for a prediction. What goes wrong is said in one sentence.

/**
 * @typedef {object} Reading
 * @property {number} prediction
 * @property {string} [label] name of the predicted class
 * @property {number} confidence
 * @property {number[]} probabilities of each class
 * @property {string[]} [labels] their names
 * @property {number[]} pixels 784, from 0 to 255
 * @property {{name: string, version: string, pictures?: "plain", remarks?: string[]}} model
 */

const TIMEOUT = 10_000; // ms; the gateway answers within 5 s

/** No prediction; the message is for the page's reader. */
export class ServiceError extends Error {
  /** @param {number | null} retry s after which to ask again; null if that is of no use */
  constructor(message, retry = null) {
    super(message);
    this.retry = retry;
  }
}

/** The service wants an API key, or another one. */
export class KeyError extends ServiceError {}

/** The name of the model that answers; empty if that cannot be known. @returns {Promise<string>} */
export async function firstModel() {
  try {
    const answer = await fetch("/v1/models", { signal: AbortSignal.timeout(TIMEOUT) });
    return (await answer.json()).models[0];
  } catch {
    return "";
  }
}

/**
 * @param {Blob} picture a PNG or JPEG
 * @param {string} key an API key; empty for none
 * @returns {Promise<Reading>}
 * @throws {ServiceError}
 */
export async function predict(picture, key) {
  const headers = { "Content-Type": picture.type };
  if (!/^[\x21-\x7e]*$/.test(key)) throw wrong(key); // no header can carry it
  if (key) headers["x-api-key"] = key;
  let response;
  try {
    response = await fetch("/predict?details=true", { method: "POST", headers, body: picture, signal: AbortSignal.timeout(TIMEOUT) });
  } catch {
    throw new ServiceError("The service does not answer; it is asked again every two seconds.", 2);
  }
  const answer = await response.json().catch(() => null);
  if (response.status === 401) throw wrong(key);
  if (response.status === 429) {
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    throw new ServiceError("The service has too many requests just now; this one is sent again in a moment.", seconds);
  }
  if (response.status >= 500)
    throw new ServiceError("The service has no model ready just now; it is asked again every two seconds.", 2);
  if (!response.ok)
    throw new ServiceError(`The service refused the drawing: ${answer?.message ?? `status ${response.status}.`}`);
  if (!Array.isArray(answer?.probabilities) || !Array.isArray(answer.pixels))
    throw new ServiceError("The service answered, but not with a prediction.");
  return answer;
}

function wrong(key) {
  return new KeyError(key ? "That API key is not valid here." : "This service asks for an API key.");
}
