// MNIST's real digits, each a button.

const SIDE = 28; // pixels

/**
 * @param {(picture: HTMLCanvasElement) => void} choose what happens with the digit that is chosen
 * @returns {Promise<HTMLButtonElement[]>}
 */
export async function digitButtons(choose) {
  const digits = new Image();
  digits.src = "/demo/digits.png";
  await digits.decode();
  return Array.from({ length: 10 }, (_, digit) => {
    const button = document.createElement("button");
    button.type = "button";
    button.ariaLabel = `A real ${digit}`;
    const context = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }).getContext("2d");
    context.fillStyle = "white"; // a picture without clear pixels is read as it is
    context.fillRect(0, 0, SIDE, SIDE);
    context.drawImage(digits, -digit * SIDE, 0);
    button.style.setProperty("--digit", digit);
    button.addEventListener("click", () => choose(context.canvas));
    return button;
  });
}
