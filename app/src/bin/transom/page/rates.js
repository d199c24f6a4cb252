// How fast counters grow.

/** What is looked back on, milliseconds: long enough for a steady figure, short enough to follow a burst. */
const WINDOW = 5000;
/** Figures that are no counters. */
const LEVELS = /(_open|_members|^uptime_seconds)$/;

export class Rates {
  #looks = [];

  /** Counts anew, after a pause. */
  forget() {
    this.#looks = [];
  }

  /** Growth per second of each counter over the last seconds; nothing at the first look. */
  of(numbers, now = performance.now()) {
    const first = this.#looks[0];
    // A counter that went back belongs to a server that was started anew.
    if (first && Object.keys(numbers).some((key) => isCounter(key, numbers) && numbers[key] < first.numbers[key])) this.forget();
    this.#looks.push({ now, numbers });
    while (this.#looks.length > 2 && now - this.#looks[1].now >= WINDOW) this.#looks.shift();
    const [from] = this.#looks;
    const seconds = (now - from.now) / 1000;
    if (seconds < 0.5) return new Map();
    const counters = Object.keys(numbers).filter((key) => isCounter(key, numbers));
    return new Map(counters.map((key) => [key, (numbers[key] - from.numbers[key]) / seconds]));
  }
}

function isCounter(key, numbers) {
  return typeof numbers[key] === "number" && !LEVELS.test(key);
}
