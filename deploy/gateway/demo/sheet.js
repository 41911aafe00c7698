// A sheet of paper: strokes of a pen over at most one picture, as one sees them and as a file for the service.

const SIDE = 560; // pixels; no side of a file is longer
const PEN = 0.075; // width of the pen, of the sheet's
const LARGEST = 60 * 1024; // bytes; the service takes 64 KiB
const QUALITIES = [0.9, 0.7, 0.5, 0.3, 0.1]; // of a JPEG; with the last, even noise has but 30 KiB
const [BLACK, WHITE] = [0, 255];

/**
 * @typedef {object} Look of a sheet
 * @property {string} [ink] colour of strokes that lie on no picture
 * @property {string} [paper] colour of what is around them; without one it stays clear
 * @property {boolean} [isWhole] whether a picture covers all of the sheet, whatever its shape
 * @property {boolean} [isInverted] whether light and dark change places at the end
 */

export class Sheet {
  #picture;
  #paper; // the picture's grey level around the ink

  /**
   * @param {OffscreenCanvas | null} picture
   * @param {{x: number, y: number}[][]} strokes points in shares of the sheet's width and height
   */
  constructor(picture = null, strokes = [], paper = picture && paperOf(picture)) {
    this.#picture = picture;
    this.strokes = strokes;
    this.#paper = paper;
  }

  /** A sheet with a picture, made smaller if it is large. @param {CanvasImageSource} source with `width` and `height` */
  static of(source) {
    const scale = Math.min(1, SIDE / Math.max(source.width, source.height));
    const [width, height] = [source.width, source.height].map((side) => Math.max(1, Math.round(side * scale)));
    const context = contextOf(width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(source, 0, 0, width, height);
    return new Sheet(context.canvas);
  }

  get isBlank() {
    return !this.#picture && !this.strokes.length;
  }

  /** This sheet with one more stroke, which begins here. */
  with(point) {
    return new Sheet(this.#picture, [...this.strokes, [point]], this.#paper);
  }

  /** Draw it all on a square. @param {Look} look */
  draw(context, { ink = grey(BLACK), paper = "transparent", isWhole = false, isInverted = false }) {
    const { width: side } = context.canvas;
    context.clearRect(0, 0, side, side);
    context.fillStyle = this.#picture ? grey(this.#paper) : paper;
    context.fillRect(0, 0, side, side);
    context.strokeStyle = this.#picture ? grey(opposite(this.#paper)) : ink;
    if (this.#picture) {
      const { width, height } = this.#picture;
      const longest = Math.max(width, height);
      const [across, down] = [width, height].map((length) => (isWhole ? side : (side * length) / longest));
      context.imageSmoothingEnabled = false; // a pixel of the picture stays one
      context.drawImage(this.#picture, (side - across) / 2, (side - down) / 2, across, down);
    }
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = PEN * side;
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x * side, stroke[0].y * side);
      for (const [at, { x, y }] of stroke.entries()) {
        const { x: nextX, y: nextY } = stroke[at + 1] ?? stroke[at]; // a curve from the middle of one piece to the next's
        context.quadraticCurveTo(x * side, y * side, ((x + nextX) / 2) * side, ((y + nextY) / 2) * side);
      }
      context.stroke();
    }
    if (isInverted) {
      context.globalCompositeOperation = "difference"; // from white
      context.fillStyle = grey(WHITE);
      context.fillRect(0, 0, side, side);
      context.globalCompositeOperation = "source-over";
    }
  }

  /**
   * All of it, as small as the service wants it; a picture that nothing was done to stays as it is.
   *
   * @param {Look} look
   * @returns {Promise<Blob>}
   */
  async file(look) {
    let whole = this.#picture;
    if (!whole || this.strokes.length || look.isInverted) {
      const context = contextOf(SIDE, SIDE);
      this.draw(context, look);
      whole = context.canvas;
    }
    const png = await whole.convertToBlob();
    return png.size <= LARGEST ? png : jpegOf(whole, this.#paper ?? WHITE);
  }
}

async function jpegOf(picture, paper) {
  const context = contextOf(picture.width, picture.height);
  context.fillStyle = grey(paper); // a JPEG has nothing clear
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(picture, 0, 0);
  let jpeg;
  for (const quality of QUALITIES) {
    jpeg = await context.canvas.convertToBlob({ type: "image/jpeg", quality });
    if (jpeg.size <= LARGEST) break;
  }
  return jpeg;
}

/** The level that most of a picture has; one that shows the ink if most of the picture is clear. */
function paperOf(picture) {
  const { data } = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
  const levels = [];
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3]) levels.push(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]); // ITU-R BT.601
  const median = Uint8Array.from(levels).sort()[levels.length >> 1] ?? BLACK;
  return levels.length < data.length / 4 / 2 ? opposite(median) : median;
}

/** Black or white, whichever is farther from a level. */
function opposite(level) {
  return level < 128 ? WHITE : BLACK;
}

function grey(level) {
  return `rgb(${level} ${level} ${level})`;
}

function contextOf(width, height) {
  return new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
}
