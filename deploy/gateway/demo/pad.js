// The sheet in use, on which the mouse, a finger, a stylus or the keyboard moves the pen, and those that `undo` goes back to.

import { Sheet } from "./sheet.js";

const STEP = 1 / 28; // by which a key moves the pen
const KEYS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  Home: [-1, -1],
  PageUp: [1, -1],
  End: [-1, 1],
  PageDown: [1, 1],
};

/** Dispatches `change` whenever another drawing is on the sheet, and `pen` when the keyboard moves the pen. */
export class Pad extends EventTarget {
  /** Where the keyboard holds the pen: of the sheet's width and height. */
  pen = { x: 0.5, y: 0.25 };
  /** Whether a stroke is being drawn. */
  isDown = false;
  #look = {};
  #canvas;
  #context;
  #sheets = [new Sheet()]; // the one in use is the last

  /** @param {HTMLCanvasElement} canvas a square; the drawing has the CSS colour of its text */
  constructor(canvas) {
    super();
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    canvas.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, (event) => event.isPrimary && this.#lift());
    canvas.addEventListener("keydown", (event) => this.#onKey(event));
    canvas.addEventListener("blur", () => this.#lift());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#render());
  }

  get isBlank() {
    return this.#sheet.isBlank;
  }

  get canUndo() {
    return this.#sheets.length > 1;
  }

  /** How the sheet looks. @returns {import("./sheet.js").Look} */
  get look() {
    return this.#look;
  }

  set look(look) {
    this.#look = look;
    this.#changed();
  }

  undo() {
    this.#lift(); // a stroke ends with the sheet that it is on
    if (!this.canUndo) return;
    this.#sheets.pop();
    this.#changed();
  }

  clear() {
    this.#lift();
    if (!this.isBlank) this.#put(new Sheet());
  }

  /** Put a picture on a new sheet. @param {CanvasImageSource} picture with `width` and `height` */
  show(picture) {
    this.#lift();
    this.#put(Sheet.of(picture));
  }

  /** What is on the sheet. @returns {Promise<Blob>} */
  file() {
    return this.#sheet.file(this.#look);
  }

  get #sheet() {
    return this.#sheets.at(-1);
  }

  #onPointerDown(event) {
    if (!event.isPrimary || event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#set(this.#pointOf(event));
  }

  #onPointerMove(event) {
    if (!event.isPrimary || !this.#canvas.hasPointerCapture(event.pointerId)) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    this.#draw((moves.length ? moves : [event]).map((move) => this.#pointOf(move)));
  }

  #onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " ") {
      if (!event.repeat) this.isDown ? this.#lift() : this.#set(this.pen);
    } else if (event.key in KEYS) {
      const [x, y] = KEYS[event.key];
      const within = (value) => Math.min(Math.max(value, STEP), 1 - STEP);
      this.pen = { x: within(this.pen.x + x * STEP), y: within(this.pen.y + y * STEP) };
      if (this.isDown) this.#draw([this.pen]);
    } else return;
    event.preventDefault();
    this.dispatchEvent(new Event("pen"));
  }

  #pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height };
  }

  #set(point) {
    this.isDown = true;
    this.#put(this.#sheet.with(point));
  }

  #draw(points) {
    if (!this.isDown) return;
    this.#sheet.strokes.at(-1).push(...points);
    this.#changed();
  }

  #lift() {
    if (!this.isDown) return;
    this.isDown = false;
    this.#changed();
  }

  #put(sheet) {
    this.#sheets.push(sheet);
    this.#changed();
  }

  #changed() {
    this.#render();
    this.dispatchEvent(new Event("change"));
  }

  #render() {
    this.#sheet.draw(this.#context, { ink: getComputedStyle(this.#canvas).color, ...this.#look });
  }
}
