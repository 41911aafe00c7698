// What the service says of a drawing, shown on the page: the prediction, a bar for each class, what the model saw.

const SIDE = 28; // pixels, of what the model sees
const UNSURE = 0.5; // below it, the model itself thinks it more likely wrong than right
const MOST = 12; // classes that have a bar each; of more, the likeliest have one, and the others have one together
const LIKELIEST = 10;
const LEAST = 0.001; // a smaller probability is no bar's

const at = (id) => document.getElementById(id);
const graphemes = new Intl.Segmenter();

/**
 * Show a reading, without a sentence of it.
 *
 * @param {import("./service.js").Reading} reading
 * @param {boolean} isDigits whether the model is MNIST's, which always has a bar for what is no digit
 */
export function show(reading, isDigits) {
  const { prediction, confidence, probabilities, pixels, model } = reading;
  const names = namesOf(reading);
  const name = names[prediction];
  const none = noneOf(reading);
  showAnswer(name, confidence < UNSURE ? "unsure" : "");
  at("shares").replaceChildren(...barsOf(names, probabilities));
  if (isDigits || none >= LEAST) at("shares").append(bar("none of these", none));
  showPixels(pixels, `What the model saw when it read ${name}`);
  const manner = isDigits ? ", like MNIST’s" : ": the ink alone, in the middle";
  at("manner").textContent = model?.pictures === "plain" ? ": the whole sheet, made smaller" : manner;
  at("remarks").hidden = !model?.remarks?.length;
  at("remarks").querySelector("span").textContent = (model?.remarks ?? []).map(sentence).join(" ");
}

/** Say what a drawing is read as. */
export function tell(reading) {
  const { prediction, confidence } = reading;
  const name = isolated(namesOf(reading)[prediction]);
  const aloud = `The confidence is ${percent(confidence)}.`;
  if (confidence >= UNSURE) return say(["Read as ", name, "."], "", aloud);
  const doubt = noneOf(reading) > confidence ? "This may be none of these." : "The model is not sure.";
  say(doubt, "unsure", ["It is read as ", name, `. ${aloud}`]);
}

/** Show that there is nothing to read. */
export function forget() {
  showAnswer("?", "none");
  at("shares").replaceChildren();
  showPixels(new Uint8Array(SIDE * SIDE), "What the model saw: nothing yet");
  say("Nothing is drawn yet.");
}

/**
 * Say one sentence, to a screen reader as well.
 *
 * @param {string | (string | Node)[]} words
 * @param {"" | "unsure" | "error"} kind
 * @param {string | (string | Node)[]} aloud what else a screen reader says, since an eye finds it among the bars
 */
export function say(words, kind = "", aloud = "") {
  for (const [id, parts] of [["said", words], ["aloud", aloud]]) {
    const fresh = document.createDocumentFragment();
    fresh.append(...[parts].flat());
    if (at(id).textContent !== fresh.textContent) at(id).replaceChildren(fresh); // the same is not said again
  }
  at("status").className = kind;
}

/** Text in whatever script, which leaves the order of the words around it alone. */
export function isolated(text) {
  const element = document.createElement("bdi");
  element.textContent = text;
  return element;
}

/** A name for each class: its own, or its number. */
function namesOf({ prediction, label, labels = [], probabilities }) {
  const own = (index) => labels[index] ?? (index === prediction ? label : undefined);
  return probabilities.map((_, index) => own(index)?.trim() || String(index));
}

/** The probability of no class. */
function noneOf({ probabilities }) {
  return Math.max(0, probabilities.reduce((rest, probability) => rest - probability, 1));
}

function barsOf(names, probabilities) {
  const classes = probabilities.map((share, index) => ({ name: names[index], share }));
  if (classes.length <= MOST) return classes.map(({ name, share }) => bar(name, share));
  classes.sort((one, other) => other.share - one.share);
  const others = classes.splice(LIKELIEST);
  const share = others.reduce((sum, each) => sum + each.share, 0);
  return [...classes.map((each) => bar(each.name, each.share)), bar(`${others.length} others`, share)];
}

function bar(name, share) {
  const row = at("share").content.cloneNode(true);
  row.querySelector(".name").textContent = row.querySelector(".name").title = name;
  row.querySelector("progress").value = share;
  row.querySelector(".percent").textContent = percent(share);
  return row;
}

/** @param {"" | "unsure" | "none"} kind */
function showAnswer(name, kind) {
  const length = [...graphemes.segment(name)].length;
  at("prediction").textContent = name;
  at("prediction").className = `${kind} ${length > 14 ? "phrase" : length > 2 ? "word" : ""}`;
}

function showPixels(pixels, label) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((level, pixel) => image.data.set([level, level, level, 255], 4 * pixel));
  at("seen").getContext("2d").putImageData(image, 0, 0);
  at("seen").ariaLabel = label;
}

function percent(share) {
  const tenths = Math.floor(share * 1000); // rounded down: certainty is not claimed
  return tenths ? `${(tenths / 10).toFixed(1)}%` : "<0.1%";
}

function sentence(words) {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
