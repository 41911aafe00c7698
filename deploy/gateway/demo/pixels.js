// Ink of any size -> the 28×28 grey levels that the model reads, made the way MNIST was made:
//
// picture ── inkOf ──> ink ── pixelsOf: crop to the ink ──> scale into 20×20 ──> centre of mass to the middle
//
// "The original black and white (bilevel) images from NIST were size normalized to fit in a 20x20 pixel box while
// preserving their aspect ratio. [...] the images were centered in a 28x28 image by computing the center of mass of the
// pixels, and translating the image so as to position this point at the center of the 28x28 field."
// LeCun, Cortes, Burges: The MNIST database of handwritten digits.

export const SIDE = 28;
const BOX = 20;
const CENTRE = 14; // index of the pixel that holds the centre of mass of all of MNIST's digits
const FAINT = 16; // of 255; a JPEG's own noise stays below

/**
 * The ink of a picture: how far each pixel is from the paper, whichever of the two is darker.
 *
 * The paper is what the picture's border shows: its light and its grain are no ink.
 *
 * @param {ImageData} picture in any colours; what is transparent lies on white, or on black if white shows nothing
 * @returns {ImageData} black, its alpha the ink, up to 255 where there is any
 */
export function inkOf(picture) {
  const distances = distancesFromPaper(picture, 255) ?? distancesFromPaper(picture, 0);
  const ink = new ImageData(picture.width, picture.height);
  distances?.forEach((distance, at) => (ink.data[4 * at + 3] = distance));
  return ink;
}

/** Distances (width × height) of at most 255; null if all is paper. */
function distancesFromPaper({ data, width, height }, ground) {
  const grey = Float32Array.from({ length: width * height }, (_, at) => {
    const [red, green, blue, alpha] = data.subarray(4 * at, 4 * at + 4);
    const luma = 0.299 * red + 0.587 * green + 0.114 * blue; // ITU-R BT.601
    return ground + ((luma - ground) * alpha) / 255;
  });
  const { paper, grain } = paperOf(grey, width, height);
  const distances = grey.map((level, at) => Math.abs(level - paper(at)));
  const most = distances.reduce((a, b) => Math.max(a, b));
  const least = Math.max(FAINT, 10 * grain); // nearly seven standard deviations: no grain strays so far
  return most > least ? distances.map((distance) => (distance > least ? (distance / most) * 255 : 0)) : null;
}

/** The paper's grey level at a pixel: evenly lit, or lit from one side if that fits the border better. And its grain. */
function paperOf(grey, width, height) {
  const row = (y) => Array.from({ length: width }, (_, x) => y * width + x);
  const column = (x) => Array.from({ length: height }, (_, y) => y * width + x);
  const sides = [column(0), column(width - 1), row(0), row(height - 1)];
  const border = sides.flat();
  const [left, right, top, bottom, level] = [...sides, border].map((pixels) => median(pixels.map((at) => grey[at])));
  const even = () => level;
  const sloped = (at) =>
    (left + right + top + bottom) / 4 +
    (right - left) * ((at % width) / width - 0.5) +
    (bottom - top) * (Math.floor(at / width) / height - 0.5);
  const [flat, slope] = [even, sloped].map((paper) => ({
    paper,
    grain: median(border.map((at) => Math.abs(grey[at] - paper(at)))),
  }));
  return slope.grain < flat.grain ? slope : flat;
}

/**
 * What the model is to read.
 *
 * @param {ImageData} ink its alpha is the ink
 * @returns {Uint8Array} 784 grey levels, row by row, 0 for paper and 255 for ink; all 0 if there is no ink
 */
export function pixelsOf(ink) {
  const pixels = new Uint8Array(SIDE * SIDE);
  const crop = boundsOf(ink);
  if (!crop) return pixels;
  const scale = BOX / Math.max(crop.width, crop.height);
  const columns = cells(crop.left, crop.width, Math.max(1, Math.round(crop.width * scale)));
  const rows = cells(crop.top, crop.height, Math.max(1, Math.round(crop.height * scale)));
  const levels = rows.map((row) =>
    columns.map((column) => {
      let sum = 0;
      for (const [y, high] of row) for (const [x, wide] of column) sum += ink.data[4 * (y * ink.width + x) + 3] * high * wide;
      return sum;
    }),
  );
  const left = offset(columns.map((_, x) => sumOf(levels.map((row) => row[x]))));
  const top = offset(levels.map(sumOf));
  levels.forEach((row, y) => row.forEach((level, x) => (pixels[(top + y) * SIDE + left + x] = Math.round(level))));
  return pixels;
}

/** The smallest rectangle with all the ink; null if there is none. */
function boundsOf({ data, width, height }) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0, at = 3; y < height; y++)
    for (let x = 0; x < width; x++, at += 4)
      if (data[at]) {
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        bottom = y;
      }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** `length` pixels from `start` on as `count` cells of equal size: each a list of pixels with their shares, which sum to 1. */
function cells(start, length, count) {
  const size = length / count;
  return Array.from({ length: count }, (_, cell) => {
    const [from, to] = [cell * size, (cell + 1) * size];
    const shares = [];
    for (let pixel = Math.floor(from); pixel < Math.min(length, Math.ceil(to)); pixel++)
      shares.push([start + pixel, (Math.min(to, pixel + 1) - Math.max(from, pixel)) / size]);
    return shares;
  });
}

/** Where to put these sums of columns or rows among 28, so that their centre of mass is in the middle. */
function offset(sums) {
  const mean = sumOf(sums.map((sum, at) => sum * at)) / sumOf(sums);
  return Math.min(Math.max(Math.round(CENTRE - mean), 0), SIDE - sums.length);
}

function sumOf(values) {
  return values.reduce((a, b) => a + b, 0);
}

function median(values) {
  return Float32Array.from(values).sort()[values.length >> 1];
}
