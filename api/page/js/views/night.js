// One night: its figures and its charts.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { duration } from "../format.js";
import { figureList, meanings, stageMinutes } from "../figures.js";
import { nightChart } from "../night-chart.js";
import { whileSeen } from "../seen.js";
import { stageBar } from "../stage-bar.js";
import { leave, nightName, nightSpan, wholeNight } from "./parts.js";

const SLEEP = ["tib_min", "efficiency_percent", "sol_min", "waso_min", "awakenings", "rem_latency_min"];
const VITALS = ["heart_rate_bpm", "heart_rate_dip_percent", "breathing_rate_per_min"];

const EVERY_MS = 15_000;

/** @type {import("../main.js").View} */
export async function nightView({ element, signal, args }) {
  const known = await api.changedNight(args[0]);
  const { recording } = known;
  let [night, near] = await Promise.all([wholeNight(recording), neighbours(recording)]);
  const chart = nightChart(() => night, { zone: recording.time_zone, signal, title: "The night" });
  let told = words(recording);
  fill(element, heading(recording, near, told.span), told.summary, chart.element, told.about);
  element.addEventListener("keydown", (event) => turn(/** @type {any} */ (event), near));
  whileSeen(() => renew().catch(leave), { every: EVERY_MS, signal });
  return nightName(recording);

  /** Show what has changed since: a night that goes on, closes, or is staged anew. */
  async function renew() {
    const changed = await api.changedNight(recording.id, known.etag);
    if (!changed) return;
    night = await wholeNight(changed.recording);
    if (signal.aborted) return;
    known.etag = changed.etag;
    chart.redraw();
    told = replaced(told, words(changed.recording));
  }
}

/** @typedef {{span: HTMLElement, summary: HTMLElement, about: HTMLElement}} Words of a night */

/**
 * @param {any} recording
 * @returns {Words} all that its revision may change, but for the charts
 */
function words(recording) {
  const span = h("p.quiet", {}, `${nightSpan(recording)} · ${recording.time_zone}`);
  return { span, summary: summary(recording), about: about(recording) };
}

/**
 * Put new words in the place of old ones; what a reader has unfolded, or stands on, stays so.
 * @param {Words} old
 * @param {Words} fresh
 * @returns {Words} the new ones
 */
function replaced(old, fresh) {
  const [before, after] = [old, fresh].map(({ summary: it }) => it.querySelector("details"));
  if (before && after) after.open = before.open;
  const isFocused = old.summary.contains(document.activeElement);
  old.span.replaceWith(fresh.span);
  old.summary.replaceWith(fresh.summary);
  old.about.replaceWith(fresh.about);
  if (isFocused) after?.querySelector("summary")?.focus({ preventScroll: true });
  return fresh;
}

/** @param {any} recording */
async function neighbours(recording) {
  const nights = await api.nights(recording.device, 200);
  const place = nights.findIndex((each) => each.id === recording.id);
  return { older: place < 0 ? null : nights[place + 1], newer: place < 0 ? null : nights[place - 1] };
}

/**
 * @param {KeyboardEvent} event
 * @param {any} near
 */
function turn(event, { older, newer }) {
  const wanted = { "[": older, "]": newer }[event.key];
  if (wanted) location.hash = `#/night/${wanted.id}`;
}

/**
 * @param {any} recording
 * @param {any} near
 * @param {HTMLElement} span from when to when it was
 */
function heading(recording, { older, newer }, span) {
  const step = (/** @type {any} */ to, /** @type {string} */ sign, /** @type {string} */ title) => to
    ? h("a.step", { href: `#/night/${to.id}`, "aria-label": `${title}: ${nightName(to)}` }, sign)
    : h("span.step.off", { "aria-hidden": "true" }, sign);
  return h("div.heading", {},
    h("div", {}, h("p.over", {}, recording.device), h("h1", {}, nightName(recording)), span),
    h("nav.steps", { "aria-label": "Nights" },
      step(older, "←", "The night before"), step(newer, "→", "The night after"),
      older && h("a.button", { href: `#/compare/${recording.id}/${older.id}` }, "Compare")));
}

/** @param {any} recording */
export function summary(recording) {
  const { figures } = recording;
  const isMeasured = VITALS.some((name) => (figures[name] ?? null) !== null);
  const shown = isMeasured ? [SLEEP, VITALS] : [SLEEP];
  return h("section.card.summary", { "aria-label": "Figures" },
    h("div.hero", {}, h("p.hero-value", {}, duration(figures.tst_min)), h("p.quiet", {}, "asleep")),
    stageBar(stageMinutes(figures)),
    ...shown.map((names) => figureList(figures, names)), meanings(["tst_min", ...shown.flat()]));
}

/** @param {any} recording */
function about(recording) {
  const told = [
    recording.state === "open" && "Not closed yet: it may go on, and heart and breathing are told once it has closed",
    recording.missing ? `${duration(recording.missing / 2)} are missing` : "Nothing is missing",
    recording.unstaged ? `${duration(recording.unstaged / 2)} have no stage` : "every epoch has a stage",
    recording.model && `staged by ${recording.model}${recording.staged_by === "night" ? ", with the whole night in sight" : ", live"}`,
    `revision ${recording.revision}`,
  ];
  return h("p.quiet.about", {}, `${told.filter(Boolean).join(" · ")}. `,
    "Stages are a model's estimate, no diagnosis.");
}
