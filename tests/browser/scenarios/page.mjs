// The demo page itself, used as a person would.
import assert from "node:assert/strict";
import { join } from "node:path";
import { refuseOften, startDemo } from "../lib/demo.mjs";

async function opened(context, options) {
  const page = await context.browser.open(`${context.demo.web}/`, options);
  context.after(() => page.close());
  await connected(page);
  return page;
}

function connected(page) {
  return page.until("the page is connected", () => document.getElementById("state-pill").dataset.state === "connected");
}

function echoed(page, kind, text) {
  return page.until(`“${text}” is back by ${kind}`, ([k, words]) =>
    [...document.querySelectorAll(`#echo-log li[data-kind="${k}"]`)].some((line) =>
      line.dataset.state === "done" && line.querySelector(".text").textContent === words), [kind, text]);
}

function sampled(page, wanted) {
  return page.until(`${wanted} round trips of each kind are shown`, (count) =>
    ["datagram", "stream"].every((name) =>
      Number(document.querySelector(`#rtt-${name} [data-figure="count"]`).textContent.replaceAll(",", "")) >= count), wanted);
}

function statisticsRead(page, times) {
  return page.until("the statistics are read", (wanted) =>
    Number(document.getElementById("stats-list").dataset.reads ?? 0) >= wanted, times);
}

function said(page, words) {
  return page.until(`the chat says “${words}”`, (wanted) =>
    [...document.querySelectorAll("#chat-log .words")].some(({ textContent }) => textContent === wanted), words);
}

async function joinChat(page, name) {
  await page.front();
  await page.type("#chat-name", name);
  await page.click("#chat-join");
  await said(page, `You joined as ${name}.`);
}

async function say(page, words) {
  await page.front();
  await page.type("#chat-text", words);
  await page.press("Enter");
  await said(page, words);
}

export const pageScenarios = [
  {
    name: "the page connects and shows address, hash and largest datagram",
    page: false,
    run: async (context) => {
      const { demo } = context;
      const page = await opened(context);
      assert.equal(await page.text("#server-url"), demo.url);
      assert.equal((await page.text("#certificate-hash")).replace(/\s/g, ""), demo.certificate_sha256);
      assert.match(await page.text("#max-datagram"), /^1,\d{3} bytes$/);
      assert.match(await page.text("#version"), /^\d+\.\d+\.\d+/);
      assert.deepEqual(page.errors, []);
    },
  },
  {
    name: "the page loads nothing from elsewhere",
    page: false,
    run: async (context) => {
      const page = await opened(context);
      const elsewhere = await page.evaluate(() => performance.getEntriesByType("resource")
        .map(({ name }) => name).filter((name) => new URL(name).origin !== location.origin && !name.startsWith("data:")));
      // The session itself may be listed by the browser.
      assert.deepEqual(elsewhere.filter((name) => !name.startsWith(context.demo.url)), []);
    },
  },
  {
    name: "echo of all three kinds by hand, with mouse and keyboard",
    page: false,
    run: async (context) => {
      const page = await opened(context);
      for (const kind of ["bidi", "uni", "datagram"]) {
        const text = `hello by ${kind} <b>ü</b>`;
        await page.click(`label[for="echo-kind-${kind}"]`);
        await page.type("#echo-text", text);
        if (kind === "uni") await page.press("Enter");
        else await page.click("#echo-send");
        await echoed(page, kind, text);
      }
      await page.click("#echo-clear");
      assert.equal(await page.evaluate(() => document.getElementById("echo-log").childElementCount), 0);
      assert.deepEqual(page.errors, []);
    },
  },
  {
    name: "a datagram that is too long is refused in words",
    page: false,
    run: async (context) => {
      const page = await opened(context);
      await page.evaluate(() => (document.getElementById("echo-text").value = "x".repeat(70_000)));
      await page.click('label[for="echo-kind-datagram"]');
      await page.click("#echo-send");
      await page.until("the entry fails", () => document.querySelector('#echo-log li[data-state="failed"]') !== null);
      assert.match(await page.text("#echo-log .result"), /^too long: at most [\d,]+ bytes fit$/);
    },
  },
  {
    name: "round trips are plotted and counted, and can be paused",
    page: false,
    run: async (context) => {
      const page = await opened(context);
      await sampled(page, 15);
      const figures = await page.evaluate(() => Object.fromEntries(["datagram", "stream"].map((name) =>
        [name, ["min", "median", "p95"].map((key) => Number(document.querySelector(`#rtt-${name} [data-figure="${key}"]`).textContent))])));
      for (const [min, median, p95] of Object.values(figures)) {
        assert.ok(min >= 0 && min <= median && median <= p95, `${min}, ${median}, ${p95}`);
      }
      assert.ok(await page.evaluate(() => {
        const canvas = document.getElementById("rtt-plot");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        // Both series are strongly coloured, everything else in the picture is nearly grey.
        const kinds = new Set();
        for (let i = 0; i < data.length; i += 4) {
          if (data[i + 3] < 200) continue;
          if (data[i + 2] - data[i] > 80) kinds.add("blue");
          if (data[i] - data[i + 2] > 80) kinds.add("orange");
        }
        return kinds.size === 2;
      }), "both series are drawn");
      await page.click("#rtt-pause");
      assert.equal(await page.evaluate(() => document.getElementById("rtt-pause").getAttribute("aria-pressed")), "true");
    },
  },
  {
    name: "the server's statistics show numbers, again and again",
    page: false,
    run: async (context) => {
      const page = await opened(context);
      await statisticsRead(page, 2);
      const values = await page.evaluate(() => [...document.querySelectorAll("#stats-list dd")].map(({ textContent }) => textContent));
      assert.ok(values.length > 0);
      assert.ok(values.some((value) => /^[\d,.]+/.test(value)), values.join(" | "));
      assert.ok(values.every((value) => !/NaN|undefined|\[object/.test(value)), values.join(" | "));
    },
  },
  {
    name: "the server's diagnostics are live: state, sessions by path, certificate, rates, and an issue when there is one",
    page: false,
    run: async (context) => {
      const own = await startDemo();
      context.after(() => own.stop());
      const page = await opened({ ...context, demo: own });
      await statisticsRead(page, 3);
      assert.equal(await page.text("#diagnostics-state"), "Serving");
      assert.equal(await page.text("#diagnostics-sessions"), "2 open");
      assert.match(await page.text("#paths"), /\/echo\s+1\s+\/stats\/live\s+1/);
      assert.match(await page.text("#diagnostics-certificate"), /^13 d \d+ h left$/);
      assert.match(await page.text('[data-key="datagrams_received"] .rate'), /^[1-9][\d.]*\/s$/);
      assert.equal(await page.evaluate(() => document.getElementById("issues").dataset.count), "0");
      refuseOften(own, 30);
      await page.until("the rule about refusals speaks", () => /requests for a session were refused/.test(document.getElementById("issues").innerText));
      assert.deepEqual(page.errors, []);
    },
  },
  {
    name: "chat between two tabs",
    page: false,
    run: async (context) => {
      const one = await opened(context);
      await joinChat(one, "Ada");
      const two = await opened(context);
      await joinChat(two, "Grace");
      await said(one, "Grace joined.");
      await said(two, "Ada is here.");
      await say(two, "hello from the second tab");
      await said(one, "hello from the second tab");
      await say(one, "<i>and back</i>");
      await said(two, "<i>and back</i>");
      assert.match(await one.text("#chat-people"), /Grace/);
      await two.front();
      await two.click("#chat-leave");
      await said(one, "Grace left.");
      assert.equal(await one.evaluate(() => document.querySelectorAll('#chat-log li[data-kind="other"]').length), 1);
      assert.deepEqual([...one.errors, ...two.errors], []);
    },
  },
  {
    name: "disconnect and connect again",
    page: false,
    run: async (context) => {
      const page = await opened(context);
      await page.click("#connect");
      await page.until("the page is disconnected", () => document.getElementById("state-pill").dataset.state === "idle");
      assert.equal(await page.evaluate(() => document.getElementById("echo-send").disabled), true);
      await page.click("#connect");
      await connected(page);
      await page.click("#echo-send");
      await echoed(page, "bidi", "Hello, Transom");
    },
  },
  {
    name: "a stopped server is said in words; started anew, Connect is enough",
    page: false,
    run: async ({ browser, after, artefacts, kind }) => {
      const first = await startDemo();
      after(() => first.stop());
      const page = await browser.open(`${first.web}/`);
      after(() => page.close());
      await connected(page);
      await first.stop();
      await page.until("the end is noticed", () => !document.getElementById("problem").hidden);
      await page.click("#connect");
      await page.until("the page says that no server answers", () =>
        document.getElementById("problem-title").textContent === "The demo server does not answer");
      assert.match(await page.text("#problem-text"), /transom demo/);
      await page.screenshot(join(artefacts, `${kind}-stopped.png`));
      const second = await startDemo({ web: new URL(first.web).host.replace("localhost", "127.0.0.1") });
      after(() => second.stop());
      await page.click("#connect");
      await connected(page);
      assert.equal(await page.evaluate(() => document.getElementById("problem").hidden), true);
      assert.equal((await page.text("#certificate-hash")).replace(/\s/g, ""), second.certificate_sha256);
    },
  },
  {
    name: "a browser without WebTransport gets a clear sentence",
    page: false,
    run: async ({ browser, demo, after, artefacts, kind }) => {
      const page = await browser.open(`${demo.web}/`, { before: () => delete globalThis.WebTransport });
      after(() => page.close());
      await page.until("the notice is shown", () => !document.getElementById("unsupported").hidden);
      const text = await page.text("#unsupported");
      assert.match(text, /no WebTransport/);
      assert.match(text, /Chrome.*Firefox.*Safari/);
      assert.match(text, /secure context/);
      await page.screenshot(join(artefacts, `${kind}-unsupported.png`));
      assert.deepEqual(page.errors, []);
    },
  },
  ...[
    ["wide", { width: 1280, height: 900 }],
    ["narrow", { width: 390, height: 844 }],
  ].flatMap(([size, viewport]) => [false, true].map((dark) => ({
    name: `the page fits and is photographed: ${size}, ${dark ? "dark" : "light"}`,
    page: false,
    run: async (context) => {
      const page = await opened(context, { ...viewport, dark });
      await joinChat(page, "Ada");
      await say(page, "Hello to whoever is here");
      for (const kind of ["bidi", "uni", "datagram"]) {
        await page.click(`label[for="echo-kind-${kind}"]`);
        await page.click("#echo-send");
        await echoed(page, kind, "Hello, Transom");
      }
      await sampled(page, 40);
      await statisticsRead(page, 1);
      const seen = await page.evaluate(() => ({
        dark: matchMedia("(prefers-color-scheme: dark)").matches,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      }));
      await page.screenshot(join(context.artefacts, `${context.kind}-${size}-${dark ? "dark" : "light"}.png`));
      assert.deepEqual(seen, { dark, overflow: 0 });
    },
  }))),
];
