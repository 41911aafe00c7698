// The page: what happens on the sheet goes to the service, and what the service says goes to the page.

import { Pad } from "./pad.js";
import { forget, isolated, say, show, tell } from "./reading.js";
import { digitButtons } from "./samples.js";
import { KeyError, firstModel, predict } from "./service.js";

const PAUSE = 60; // ms between an answer and the next request

const at = (id) => document.getElementById(id);
const pad = new Pad(at("sheet"));
let isDigits = false; // whether the model is MNIST's
let key = "";
let wanted = 0; // counts the questions: another drawing, or another key
let answered = 0; // the last one that the service has answered
let asking = false;
const introduced = introduce();

/** Make the page that of the model: MNIST's finds the ink on any sheet, others mostly take light on dark as it is. */
async function introduce() {
  document.body.ariaBusy = true;
  const name = await firstModel();
  isDigits = name === "mnist";
  if (isDigits) {
    at("samples").append(...(await digitButtons((digit) => pad.show(digit)).catch(() => [])));
    for (const id of ["samples-of-digits", "credit"]) at(id).hidden = false;
    at("invitation").textContent = "0 – 9";
  } else adaptTo("plain");
  if (name) at("introduction").replaceChildren("The model ", isolated(name), " reads it as you draw.");
  document.body.ariaBusy = false;
}

/** How the model reads pictures: only to one that is given the whole sheet does it matter what is light on it. */
function adaptTo(pictures) {
  const isWhole = pictures === "plain";
  if (at("invert").hidden !== isWhole) return;
  for (const id of ["invert", "on-light"]) at(id).hidden = !isWhole;
  lay(false);
}

/** Lay a dark sheet for a light pen, or the other way round. */
function lay(isLight) {
  at("invert").ariaPressed = isLight;
  at("frame").className = isLight ? "light" : "dark";
  pad.look = { ink: "white", paper: "black", isWhole: !at("invert").hidden, isInverted: isLight };
}

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
  await introduced;
  while (answered !== wanted && !pad.isBlank) {
    const question = wanted;
    let pause = PAUSE;
    try {
      const answer = await predict(await pad.file(), key);
      answered = question;
      if (!pad.isBlank) receive(answer);
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

function receive(answer) {
  if (at("key-form").contains(document.activeElement)) at("sheet").focus();
  at("key-form").hidden = true;
  if (!isDigits) adaptTo(answer.model?.pictures);
  show(answer, isDigits);
  if (pad.isDown || answered !== wanted) wait(); // a screen reader is not told of every stage
  else tell(answer);
}

function wait() {
  say(pad.isDown ? "Drawing …" : "");
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
at("invert").addEventListener("click", () => lay(!pad.look.isInverted));
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

forget();
