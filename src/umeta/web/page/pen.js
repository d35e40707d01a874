// Knows strokes: how they are made by hand or by keys, and how they are rendered like the drawings that the run learned from.

const STEP = 1 / 40;
const LEAST_EXTENT = 0.15;
const SHARPER = 4;
const PLAIN = { bright: false, extent: 0.7, stroke: 0.06 };

export class Pen {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.image = null;
    this.cursor = [0.5, 0.5];
    this.down = false;
    this.byKeys = false;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.lift());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.lift(); this.byKeys = false; this.paint(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  get empty() { return this.strokes.length === 0 && this.image === null; }

  clear() { this.strokes = []; this.image = null; this.down = false; this.paint(); this.changed(); }

  back() { this.down = false; if (this.image) this.image = null; else this.strokes.pop(); this.paint(); this.changed(); }

  show(image) { this.strokes = []; this.image = image; this.down = false; this.paint(); this.changed(); }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  begin(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.image = null;
    this.byKeys = false;
    this.down = true;
    this.strokes.push([this.at(event)]);
    this.paint();
    this.changed();
  }

  go(event) {
    if (!this.down || this.byKeys) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of events.length ? events : [event]) this.strokes.at(-1).push(this.at(one));
    this.paint();
    this.changed();
  }

  lift() { this.down = false; }

  key(event) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (by) {
      const size = event.shiftKey ? 4 * STEP : STEP;
      this.cursor = this.cursor.map((value, axis) => Math.min(1, Math.max(0, value + size * by[axis])));
      if (this.down && this.strokes.length) this.strokes.at(-1).push([...this.cursor]);
    } else if (event.key === " ") {
      this.down = !this.down;
      this.image = null;
      if (this.down) this.strokes.push([[...this.cursor]]);
    } else if (event.key === "Backspace") {
      this.back();
    } else {
      return;
    }
    event.preventDefault();
    this.byKeys = true;
    this.paint();
    this.changed();
  }

  paint() {
    const { canvas } = this, context = canvas.getContext("2d"), size = canvas.width;
    const look = getComputedStyle(canvas);
    context.clearRect(0, 0, size, size);
    if (this.image) {
      const scale = Math.min(size / this.image.width, size / this.image.height);
      const [width, height] = [this.image.width * scale, this.image.height * scale];
      context.drawImage(this.image, (size - width) / 2, (size - height) / 2, width, height);
    }
    draw(context, this.strokes, look.color, size / 26, (point) => point.map((value) => value * size));
    if (this.byKeys) {
      context.strokeStyle = look.outlineColor || look.color;
      context.lineWidth = 4;
      context.beginPath();
      context.arc(this.cursor[0] * size, this.cursor[1] * size, this.down ? 10 : 18, 0, 7);
      context.stroke();
    }
  }

  // A PNG of the strokes, brought to the size, place, width and shades of the run's own drawings.
  render(style, side) {
    const { bright, extent, stroke } = style || PLAIN;
    const sharp = document.createElement("canvas");
    const size = sharp.width = sharp.height = Math.max(side * SHARPER, 112);
    const context = sharp.getContext("2d"), width = stroke * size;
    context.fillStyle = bright ? "#000" : "#fff";
    context.fillRect(0, 0, size, size);
    const points = this.strokes.flat();
    const low = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
    const high = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
    const scale = (extent * size - width) / Math.max(high[0] - low[0], high[1] - low[1], LEAST_EXTENT);
    const place = (point) => point.map((value, axis) => size / 2 + (value - (low[axis] + high[axis]) / 2) * scale);
    draw(context, this.strokes, bright ? "#fff" : "#000", width, place);
    return new Promise((done) => sharp.toBlob(done, "image/png"));
  }
}

function draw(context, strokes, color, width, place) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...place(stroke[0]));
    for (const point of stroke.slice(1)) context.lineTo(...place(point));
    const [x, y] = place(stroke.at(-1));
    context.lineTo(x + 0.01, y); // a canvas draws no line without length, so a dot needs some
    context.stroke();
  }
}
