// The two browsers behind one small face: open a page, run code in it, click, type, look.
import { setTimeout as sleep } from "node:timers/promises";
import { installHelpers } from "./in-page.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const WAIT_LIMIT = 60_000;

export function launch(kind, options) {
  return kind === "chromium" ? Chromium.launch(options) : Firefox.launch(options);
}

/** What the two kinds of page have in common; `raw` is the driver's own page object. */
class Page {
  constructor(raw) {
    this.raw = raw;
    this.errors = [];
    raw.on("pageerror", (error) => this.errors.push(error.message));
  }

  /** Makes the helpers of in-page.mjs available as `t` inside the page. */
  prepare({ url, certificate_sha256: hash }) {
    return this.evaluate(installHelpers, { url, hash });
  }

  evaluate(code, argument) {
    return this.raw.evaluate(code, argument);
  }

  /** Asks again and again until `code` returns something true, and returns that. */
  async until(what, code, argument) {
    const end = Date.now() + WAIT_LIMIT;
    for (;;) {
      const value = await this.evaluate(code, argument);
      if (value) return value;
      if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
      await sleep(100);
    }
  }

  text(selector) {
    return this.evaluate((s) => document.querySelector(s).innerText, selector);
  }

  click(selector) {
    return this.raw.click(selector);
  }

  async type(selector, text) {
    await this.evaluate((s) => {
      const field = document.querySelector(s);
      field.focus();
      field.select();
    }, selector);
    await this.raw.keyboard.press("Delete");
    await this.raw.keyboard.type(text);
  }

  press(key) {
    return this.raw.keyboard.press(key);
  }

  front() {
    return this.raw.bringToFront();
  }

  reload() {
    return this.raw.reload();
  }

  screenshot(path) {
    return this.raw.screenshot({ path, fullPage: true });
  }

  close() {
    return this.raw.close();
  }
}

class Chromium {
  static async launch({ args = [] } = {}) {
    const { chromium } = await import("playwright-core");
    const raw = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", ...args] });
    return new Chromium(raw);
  }

  constructor(raw) {
    this.raw = raw;
  }

  async version() {
    return this.raw.version();
  }

  async open(url, { width = 1280, height = 900, dark = false, before } = {}) {
    const raw = await this.raw.newPage({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
    if (before) await raw.addInitScript(before);
    const page = new Page(raw);
    await raw.goto(url);
    return page;
  }

  close() {
    return this.raw.close();
  }
}

class Firefox {
  static async launch({ dark = false } = {}) {
    const { default: puppeteer } = await import("puppeteer-core");
    const raw = await puppeteer.launch({
      browser: "firefox",
      executablePath: FIREFOX,
      headless: true,
      // 0 is dark, 1 is light: WebDriver BiDi has no command for it in this version.
      extraPrefsFirefox: { "layout.css.prefers-color-scheme.content-override": dark ? 0 : 1 },
    });
    return new Firefox(raw, dark);
  }

  #darkOne = null;

  constructor(raw, dark) {
    this.raw = raw;
    this.dark = dark;
  }

  version() {
    return this.raw.version();
  }

  async open(url, { width = 1280, height = 900, dark = false, before } = {}) {
    if (dark && !this.dark) {
      this.#darkOne ??= await Firefox.launch({ dark: true });
      return this.#darkOne.open(url, { width, height, dark, before });
    }
    const raw = await this.raw.newPage();
    await raw.setViewport({ width, height }).catch((error) => {
      // Firefox before 144 sets the size, but has no command for the orientation that the driver sends after it.
      if (!/unknown command/.test(error.message)) throw error;
    });
    if (before) await raw.evaluateOnNewDocument(before);
    const page = new Page(raw);
    await raw.goto(url);
    return page;
  }

  async close() {
    await this.#darkOne?.close();
    await this.raw.close();
  }
}
