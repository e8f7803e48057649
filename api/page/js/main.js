// The page: who is signed in, where we are, and what is shown there.

import { ApiError } from "./api.js";
import { bar } from "./bar.js";
import { fill, h } from "./dom.js";
import * as session from "./session.js";
import { accountView } from "./views/account.js";
import { alertsView } from "./views/alerts.js";
import { compareView } from "./views/compare.js";
import { devicesView } from "./views/devices.js";
import { driftView } from "./views/drift.js";
import { modelsView } from "./views/models.js";
import { nightView } from "./views/night.js";
import { nightsView } from "./views/nights.js";
import { signInView } from "./views/sign-in.js";
import { tonightView } from "./views/tonight.js";
import { trendsView } from "./views/trends.js";

/**
 * @typedef {{element: Element, signal: AbortSignal, args: string[]}} Place where a view shows
 *   itself, until when, and what its address says
 * @typedef {(place: Place) => Promise<string> | string} View shows itself, returns its title
 */

/** @type {Record<string, View>} */
const VIEWS = {
  tonight: tonightView, nights: nightsView, night: nightView, trends: trendsView, compare: compareView,
  devices: devicesView, models: modelsView, drift: driftView, alerts: alertsView, account: accountView,
};
const content = /** @type {HTMLElement} */ (document.getElementById("content"));
const top = /** @type {HTMLElement} */ (document.getElementById("bar"));
let leave = new AbortController();
let isFirst = true;

async function show() {
  leave.abort();
  const mine = leave = new AbortController();
  const [name, ...args] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const view = VIEWS[name] ?? tonightView;
  const element = h("div.view");
  content.setAttribute("aria-busy", "true");
  const place = { element, signal: mine.signal, args };
  try {
    if (!(await session.token())) return enter(element, mine);
    if (mine.signal.aborted) return;
    bar(top, name in VIEWS ? name : "tonight");
    const title = await view(place);
    if (!mine.signal.aborted) arrive(element, title);
  } catch (error) {
    if (!mine.signal.aborted) fail(element, error, mine);
  }
}

/**
 * @param {Element} element
 * @param {string} title
 */
function arrive(element, title) {
  fill(content, element);
  content.removeAttribute("aria-busy");
  document.title = `${title} · Noctis`;
  if (!isFirst) {
    const heading = element.querySelector("h1") ?? content;
    heading.setAttribute("tabindex", "-1");
    /** @type {HTMLElement} */ (heading).focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  isFirst = false;
}

/**
 * @param {Element} element
 * @param {AbortController} mine
 */
function enter(element, mine) {
  top.hidden = true;
  const title = signInView({ element, signal: mine.signal, args: [] }, () => void show());
  arrive(element, title);
}

/**
 * @param {Element} element
 * @param {unknown} error
 * @param {AbortController} mine
 */
function fail(element, error, mine) {
  if (error instanceof ApiError && error.status === 401) return enter(element, mine);
  const isOffline = error instanceof TypeError || (error instanceof ApiError && error.status === 0);
  const message = isOffline ? "Noctis cannot be reached from here." : /** @type {any} */ (error)?.message;
  if (!(error instanceof ApiError) && !isOffline) console.error(error);
  fill(element, h("h1", {}, isOffline ? "Offline" : "That did not work"),
    h("p.notice", { role: "alert" }, message),
    h("p", {}, h("button.primary", { onclick: () => void show() }, "Try again")));
  arrive(element, "Trouble");
  if (isOffline) addEventListener("online", () => void show(), { once: true, signal: mine.signal });
}

addEventListener("hashchange", () => void show());
await session.claimTab();
await show();
