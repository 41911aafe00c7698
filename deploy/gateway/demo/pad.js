// The sheet of paper: strokes of a pen, which the mouse, a finger, a stylus or the keyboard moves, over at most one picture.

import { inkOf } from "./pixels.js";

const PEN = 0.075; // width of the pen, of the sheet's
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
const BLANK = { ink: null, strokes: [] };

/** Dispatches `change` whenever another drawing is on the sheet, and `pen` when the keyboard moves the pen. */
export class Pad extends EventTarget {
  /** Where the keyboard holds the pen: of the sheet's width and height. */
  pen = { x: 0.5, y: 0.25 };
  /** Whether a stroke is being drawn. */
  isDown = false;
  #canvas;
  #context;
  #sheets = [BLANK]; // the one in use, after all that `undo` goes back to

  /** @param {HTMLCanvasElement} canvas a square; the drawing has the CSS colour of its text */
  constructor(canvas) {
    super();
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    canvas.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    for (const end of ["pointerup", "pointercancel"])
      canvas.addEventListener(end, (event) => event.isPrimary && this.#lift());
    canvas.addEventListener("keydown", (event) => this.#onKey(event));
    canvas.addEventListener("blur", () => this.#lift());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#render());
  }

  get isBlank() {
    const { ink, strokes } = this.#sheets.at(-1);
    return !ink && !strokes.length;
  }

  get canUndo() {
    return this.#sheets.length > 1;
  }

  undo() {
    this.#lift(); // a stroke ends with the sheet that it is on
    if (!this.canUndo) return;
    this.#sheets.pop();
    this.#changed();
  }

  clear() {
    this.#lift();
    if (!this.isBlank) this.#put(BLANK);
  }

  /** Put a picture's ink on a new sheet. @param {CanvasImageSource} picture with `width` and `height` */
  show(picture) {
    this.#lift();
    const scale = Math.min(1, this.#canvas.width / Math.max(picture.width, picture.height));
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    context.putImageData(inkOf(context.getImageData(0, 0, width, height)), 0, 0);
    this.#put({ ink: context.canvas, strokes: [] });
  }

  /** The drawing: its alpha is the ink. @returns {ImageData} */
  read() {
    return this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
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
    const { ink, strokes } = this.#sheets.at(-1);
    this.#put({ ink, strokes: [...strokes, [point]] });
  }

  #draw(points) {
    if (!this.isDown) return;
    this.#sheets.at(-1).strokes.at(-1).push(...points);
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
    const { width: side } = this.#canvas;
    const { ink, strokes } = this.#sheets.at(-1);
    const context = this.#context;
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, side, side);
    if (ink) {
      const scale = side / Math.max(ink.width, ink.height);
      const [width, height] = [ink.width * scale, ink.height * scale];
      context.imageSmoothingEnabled = false; // a pixel of the picture stays one
      context.drawImage(ink, (side - width) / 2, (side - height) / 2, width, height);
    }
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = PEN * side;
    for (const stroke of strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x * side, stroke[0].y * side);
      for (const [at, { x, y }] of stroke.entries()) {
        const { x: nextX, y: nextY } = stroke[at + 1] ?? stroke[at]; // a curve from the middle of one piece to the next's
        context.quadraticCurveTo(x * side, y * side, ((x + nextX) / 2) * side, ((y + nextY) / 2) * side);
      }
      context.stroke();
    }
    context.globalCompositeOperation = "source-in"; // all the ink in one colour
    context.fillStyle = getComputedStyle(this.#canvas).color;
    context.fillRect(0, 0, side, side);
  }
}
