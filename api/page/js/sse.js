// Server-sent events read by fetch: EventSource cannot send a token.

import { ApiError, request } from "./api.js";

/** @typedef {{event: string, id: string, data: string}} Told */

const LEAST_MS = 1000;
const MOST_MS = 30000;
const SILENT_MS = 45000;
const CALM_MS = 5000;

/**
 * Cut a stream of text into events.
 * @returns {(text: string) => Told[]} takes what came, returns the events that it completes
 */
export function parser() {
  let rest = "";
  return (text) => {
    const blocks = (rest + text).replace(/\r\n?/g, "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    return blocks.map(event).filter((told) => told.data !== "");
  };
}

/**
 * @param {string} block
 * @returns {Told}
 */
function event(block) {
  const told = { event: "message", id: "", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const name = line.slice(0, colon);
    if (name === "data") data.push(value);
    else if (name === "event" || name === "id") told[name] = value;
  }
  return { ...told, data: data.join("\n") };
}

/**
 * @param {number} tries in a row that came to nothing
 * @param {number} [chance] 0 to 1
 * @returns {number} ms to wait: twice as long each time, and never all at once
 */
export function backoff(tries, chance = Math.random()) {
  const longest = Math.min(MOST_MS, LEAST_MS * 2 ** tries);
  return longest / 2 + (longest / 2) * chance;
}

/**
 * Follow a stream until aborted: what ends is begun again behind the last event.
 * @param {string} path
 * @param {{signal: AbortSignal, onevent: (told: Told) => void,
 *   onstate: (state: "live" | "waiting", error?: ApiError) => void}} options
 */
export async function follow(path, { signal, onevent, onstate }) {
  let last = "";
  let tries = 0;
  while (!signal.aborted) {
    /** @type {ApiError | undefined} */
    let failed;
    const begun = Date.now();
    try {
      await read(path, last, signal, () => onstate("live"), (told) => {
        if (told.id) last = told.id;
        onevent(told);
      });
    } catch (error) {
      if (signal.aborted) return;
      failed = error instanceof ApiError ? error : new ApiError(0, "the stream broke off");
    }
    if (failed) onstate("waiting", failed);
    if (failed && [401, 403, 404].includes(failed.status)) return;
    tries = Date.now() - begun > CALM_MS ? 0 : tries + 1;
    await pause(backoff(tries), signal);
  }
}

/**
 * @param {string} path
 * @param {string} last
 * @param {AbortSignal} signal
 * @param {() => void} onopen
 * @param {(told: Told) => void} onevent
 */
async function read(path, last, signal, onopen, onevent) {
  const silence = new AbortController();
  const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
  const either = AbortSignal.any([signal, silence.signal]);
  const reply = await request(path, { headers, signal: either });
  if (!reply.body) return;
  onopen();
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  const cut = parser();
  let timer = setTimeout(() => silence.abort(), SILENT_MS);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENT_MS);
      cut(value).forEach(onevent);
    }
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(undefined); }, { once: true });
  });
}
