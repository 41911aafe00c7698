// The page: what happens on the sheet goes to the service, and what the service says goes to the page.

import { Pad } from "./pad.js";
import { KeyError, predict } from "./service.js";

const SIDE = 28; // of what the model sees, and of the real digits
const UNSURE = 0.5; // below it, the model itself thinks it more likely wrong than right
const PAUSE = 60; // ms between an answer and the next request

const at = (id) => document.getElementById(id);
const pad = new Pad(at("sheet"));
let key = "";
let wanted = 0; // counts the questions: another drawing, or another key
let answered = 0; // the last one that the service has answered
let asking = false;

pad.addEventListener("change", () => {
  wanted++;
  at("undo").disabled = !pad.canUndo;
  at("clear").disabled = pad.isBlank;
  at("invitation").hidden = !pad.isBlank;
  if (pad.isBlank) return forget();
  if (at("status").className !== "error") wait();
  ask();
});

/** One request at a time, the latest drawing next; what could not be answered is asked again. */
async function ask() {
  if (asking) return;
  asking = true;
  while (answered !== wanted && !pad.isBlank) {
    const question = wanted;
    let pause = PAUSE;
    try {
      const answer = await predict(await pad.file(), key);
      answered = question;
      if (!pad.isBlank) show(answer);
    } catch (error) {
      if (error.retry) pause = error.retry * 1000;
      else answered = question;
      if (error instanceof KeyError) at("key-form").hidden = false;
      if (!pad.isBlank) say(error.message, "error");
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  asking = false;
}

function show({ prediction, confidence, label = String(prediction), probabilities, pixels }) {
  const unsure = confidence < UNSURE;
  answer(label, unsure ? "unsure" : "");
  if (at("key-form").contains(document.activeElement)) at("sheet").focus();
  at("key-form").hidden = true;
  const none = Math.max(0, probabilities.reduce((rest, probability) => rest - probability, 1));
  const names = probabilities.map((_, digit) => (digit === prediction ? label : digit));
  at("shares").replaceChildren(...probabilities.map((share, digit) => bar(names[digit], share)), bar("none of these", none));
  picture(pixels, `What the model saw when it read ${label}`);
  const aloud = `The confidence is ${percent(confidence)}.`;
  if (pad.isDown || answered !== wanted) wait(); // a screen reader is not told of every stage
  else if (unsure) say("This may be none of these.", "unsure", `It is read as ${label}. ${aloud}`);
  else say(`Read as ${label}.`, "", aloud);
}

function forget() {
  answer("?", "none");
  at("shares").replaceChildren();
  picture(new Uint8Array(SIDE * SIDE), "What the model saw: nothing yet");
  say("Nothing is drawn yet.");
}

/** @param {"" | "unsure" | "none"} kind */
function answer(name, kind) {
  at("prediction").textContent = name;
  at("prediction").className = name.length > 2 ? `${kind} word` : kind;
}

function bar(name, share) {
  const row = at("share").content.cloneNode(true);
  row.querySelector(".name").textContent = name;
  row.querySelector("progress").value = share;
  row.querySelector(".percent").textContent = percent(share);
  return row;
}

function percent(share) {
  const tenths = Math.floor(share * 1000); // rounded down: certainty is not claimed
  return tenths ? `${(tenths / 10).toFixed(1)}%` : "<0.1%";
}

function wait() {
  say(pad.isDown ? "Drawing …" : "");
}

/**
 * Say one sentence, to a screen reader as well.
 *
 * @param {"" | "unsure" | "error"} kind
 * @param {string} aloud what else a screen reader says, since an eye finds it among the bars
 */
function say(sentence, kind = "", aloud = "") {
  for (const [id, words] of [["said", sentence], ["aloud", aloud]])
    if (at(id).textContent !== words) at(id).textContent = words; // the same is not said again
  at("status").className = kind;
}

function picture(pixels, label) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((level, pixel) => image.data.set([level, level, level, 255], 4 * pixel));
  at("seen").getContext("2d").putImageData(image, 0, 0);
  at("seen").ariaLabel = label;
}

async function open(file) {
  try {
    pad.show(await createImageBitmap(file));
  } catch {
    say(`${file.name} is not a picture that can be read: choose a PNG, JPEG or WebP.`, "error");
  }
}

at("undo").addEventListener("click", () => pad.undo());
at("clear").addEventListener("click", () => pad.clear());
at("file").addEventListener("change", ({ target }) => {
  if (target.files.length) open(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
});
addEventListener("paste", ({ clipboardData }) => clipboardData.files.length && open(clipboardData.files[0]));
addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target === at("key")) return;
  event.preventDefault();
  pad.undo();
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  wanted++;
  ask();
});

pad.addEventListener("pen", () => {
  at("pen").style.left = `${pad.pen.x * 100}%`;
  at("pen").style.top = `${pad.pen.y * 100}%`;
  at("pen").classList.toggle("down", pad.isDown);
});
pad.dispatchEvent(new Event("pen"));

const digits = new Image();
digits.addEventListener("load", () => {
  for (let digit = 0; digit < 10; digit++) {
    const button = document.createElement("button");
    button.type = "button";
    button.ariaLabel = `A real ${digit}`;
    const context = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }).getContext("2d");
    context.fillStyle = "white"; // a picture without clear pixels is read as it is
    context.fillRect(0, 0, SIDE, SIDE);
    context.drawImage(digits, -digit * SIDE, 0);
    button.style.setProperty("--digit", digit);
    button.addEventListener("click", () => pad.show(context.canvas));
    at("samples").append(button);
  }
});
digits.src = "/demo/digits.png";
forget();
