// Draws the round-trip times: time to the left, milliseconds upwards, two series of dots and a line through each.

const MARGIN = { top: 12, right: 14, bottom: 36, left: 54 };

export class Plot {
  #canvas;
  #context;
  #width = 0;
  #height = 0;
  #colours = {};
  #ceiling = 1;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#resize()).observe(canvas);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.#readColours());
    this.#readColours();
  }

  /** `series`: [{ name, samples: [{ at, ms }], lost: [at] }], oldest first; `now` and `at` in milliseconds. */
  draw(series, now, span) {
    if (!this.#width) this.#resize();
    const { left, right, top, bottom } = MARGIN;
    const c = this.#context;
    const frame = {
      left, top, right: this.#width - right, bottom: this.#height - bottom,
      x: (at) => this.#width - right - ((now - at) / span) * (this.#width - left - right),
      y: (ms) => this.#height - bottom - (Math.min(ms, this.#ceiling) / this.#ceiling) * (this.#height - top - bottom),
    };
    this.#ceiling = ceilingFor(series, this.#ceiling);
    c.clearRect(0, 0, this.#width, this.#height);
    this.#axes(frame, span);
    c.save();
    c.beginPath();
    c.rect(frame.left, 0, frame.right - frame.left + 1, this.#height);
    c.clip();
    for (const one of series) this.#series(frame, one);
    c.restore();
  }

  #axes(frame, span) {
    const c = this.#context;
    c.font = this.#colours.font;
    c.lineWidth = 1;
    c.strokeStyle = this.#colours.grid;
    c.fillStyle = this.#colours.soft;
    c.textBaseline = "middle";
    c.textAlign = "right";
    const step = niceStep(this.#ceiling / 4);
    for (let i = 0; i * step <= this.#ceiling * 1.0001; i++) {
      const y = Math.round(frame.y(i * step)) + 0.5;
      line(c, frame.left, y, frame.right, y);
      c.fillText(tickText(i * step, step), frame.left - 8, y);
    }
    c.textBaseline = "top";
    c.textAlign = "center";
    const seconds = span / 1000;
    const gap = frame.right - frame.left < 360 ? 10 : 5;
    for (let s = 0; s <= seconds; s += gap) {
      const x = frame.right - (s / seconds) * (frame.right - frame.left);
      c.textAlign = s === 0 ? "right" : s === seconds ? "left" : "center";
      c.fillText(s === 0 ? "now" : `−${s} s`, x, frame.bottom + 7);
    }
    c.textAlign = "center";
    c.fillText("time", (frame.left + frame.right) / 2, frame.bottom + 22);
    c.save();
    c.translate(10, (frame.top + frame.bottom) / 2);
    c.rotate(-Math.PI / 2);
    c.textBaseline = "middle";
    c.fillText("round trip, ms", 0, 0);
    c.restore();
  }

  #series(frame, { name, samples, lost }) {
    const c = this.#context;
    const colour = this.#colours[name];
    c.strokeStyle = colour;
    c.fillStyle = colour;
    c.lineWidth = 1.25;
    c.lineJoin = "round";
    c.globalAlpha = 0.45;
    c.beginPath();
    let before = -Infinity;
    for (const { at, ms } of samples) {
      const x = frame.x(at);
      if (at - before > 1500) c.moveTo(x, frame.y(ms));
      else c.lineTo(x, frame.y(ms));
      before = at;
    }
    c.stroke();
    c.globalAlpha = 1;
    for (const { at, ms } of samples) {
      const x = frame.x(at);
      c.beginPath();
      if (ms > this.#ceiling) {
        // Off the scale: an arrow at the upper edge.
        c.moveTo(x, frame.top - 7);
        c.lineTo(x - 3.5, frame.top - 1);
        c.lineTo(x + 3.5, frame.top - 1);
      } else {
        c.arc(x, frame.y(ms), 1.6, 0, 7);
      }
      c.fill();
    }
    c.lineWidth = 2;
    for (const at of lost) line(c, frame.x(at), frame.bottom - 7, frame.x(at), frame.bottom);
  }

  #resize() {
    const ratio = globalThis.devicePixelRatio || 1;
    this.#width = this.#canvas.clientWidth;
    this.#height = this.#canvas.clientHeight;
    this.#canvas.width = Math.round(this.#width * ratio);
    this.#canvas.height = Math.round(this.#height * ratio);
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.#colours = {
      datagram: colour("--series-datagram"),
      stream: colour("--series-stream"),
      grid: colour("--grid"),
      soft: colour("--ink-soft"),
      font: `12px ${colour("--sans")}`,
    };
  }
}

/** The upper end of the scale: room for nearly all samples, slow to change, so that one outlier does not flatten the rest. */
function ceilingFor(series, current) {
  const all = series.flatMap(({ samples }) => samples.map(({ ms }) => ms)).sort((a, b) => a - b);
  if (!all.length) return current;
  const most = all[Math.min(all.length - 1, Math.floor(all.length * 0.97))];
  const wanted = Math.max(0.4, Math.min(all[all.length - 1], most * 1.6));
  if (wanted <= current && wanted > current * 0.45) return current;
  const step = niceStep(wanted / 4);
  return Math.ceil((wanted * 1.1) / step) * step;
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

function tickText(value, step) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  return value.toFixed(digits);
}

function line(context, fromX, fromY, toX, toY) {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
}
