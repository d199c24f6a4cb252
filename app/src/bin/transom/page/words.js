// Sentences and figures for people.

export const SUPPORT =
  "WebTransport works in Chrome and Edge 97 or newer, Opera 83 or newer, Firefox 114 or newer and Safari 26.4 or newer.";

/** Why WebTransport is missing here, or null when it is there. */
export function whyUnsupported() {
  if (!globalThis.isSecureContext) {
    return {
      title: "This page is not in a secure context",
      text: `Browsers offer WebTransport only to pages from https, or from this machine. Open the page as http://localhost:${location.port || 80} or http://127.0.0.1:${location.port || 80}, or serve it over https.`,
    };
  }
  if (typeof globalThis.WebTransport !== "function") {
    return {
      title: "This browser has no WebTransport",
      text: `${SUPPORT} The page must also come from a secure context: https, localhost or 127.0.0.1.`,
    };
  }
  return null;
}

/** What happened to the shared connection, and what to do about it. */
export function explain(failure, config) {
  const detail = failure.error?.message ? ` (The browser says: ${trimDot(failure.error.message)}.)` : "";
  if (failure.step === "config") {
    return {
      title: "The demo server does not answer",
      text: `It has probably been stopped. Start it again with “transom demo”, then press Connect or reload this page.${detail}`,
    };
  }
  if (failure.step === "session") {
    return {
      title: "The WebTransport connection could not be opened",
      text: `The page is served, but ${config?.url ?? "the server"} did not accept a session over UDP. If the server has been running for many days its certificate may have expired: restart it and reload this page. Otherwise check that a firewall or VPN lets UDP through, and that this page's address is an allowed origin.${detail}`,
    };
  }
  if (failure.info) {
    const { closeCode = 0, reason = "" } = failure.info;
    const why = reason ? `: “${reason}”` : "";
    return {
      title: "The server closed the session",
      text: `It gave code ${closeCode}${why}. If it is shutting down, start it again with “transom demo”; then press Connect.`,
    };
  }
  return {
    title: "The connection was lost",
    text: `The server may have been stopped, or the network has changed. Check that “transom demo” is running, then press Connect.${detail}`,
  };
}

function trimDot(text) {
  return text.trim().replace(/\.+$/, "");
}

export function milliseconds(value) {
  if (value < 10) return value.toFixed(2);
  if (value < 100) return value.toFixed(1);
  return Math.round(value).toString();
}

export function bytes(value) {
  if (value < 1024) return `${whole(value)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let size = value / 1024;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size.toFixed(size < 10 ? 2 : 1)} ${units[unit]}`;
}

const plainNumber = new Intl.NumberFormat("en");

export function whole(value) {
  return plainNumber.format(value);
}

export function duration(seconds) {
  const total = Math.floor(seconds);
  const h = Math.floor(total / 3600);
  const m = Math.floor((total % 3600) / 60);
  const s = total % 60;
  if (h) return `${h} h ${m} min`;
  if (m) return `${m} min ${s} s`;
  return `${s} s`;
}

/** An element with a class and text; the text is never read as markup. */
export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Adds a line to a log, keeps it short, and follows its end unless the reader has scrolled up. */
export function appendLine(log, line) {
  const following = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.childElementCount > 200) log.firstElementChild.remove();
  if (following) log.scrollTop = log.scrollHeight;
}
