// One night: its figures and its charts.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { duration } from "../format.js";
import { figureList, meanings, stageMinutes } from "../figures.js";
import { nightChart } from "../night-chart.js";
import { stageBar } from "../stage-bar.js";
import { nightName, nightSpan, wholeNight } from "./parts.js";

const SLEEP = ["tib_min", "efficiency_percent", "sol_min", "waso_min", "awakenings", "rem_latency_min"];
const VITALS = ["heart_rate_bpm", "heart_rate_dip_percent", "breathing_rate_per_min"];

/** @type {import("../main.js").View} */
export async function nightView({ element, signal, args }) {
  const recording = await api.night(args[0]);
  const [night, near] = await Promise.all([wholeNight(recording), neighbours(recording)]);
  const chart = nightChart(() => night, { zone: recording.time_zone, signal, title: "The night" });
  fill(element, heading(recording, near), summary(recording), chart.element, about(recording));
  element.addEventListener("keydown", (event) => turn(/** @type {any} */ (event), near));
  return nightName(recording);
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
 */
function heading(recording, { older, newer }) {
  const step = (/** @type {any} */ to, /** @type {string} */ sign, /** @type {string} */ title) => to
    ? h("a.step", { href: `#/night/${to.id}`, "aria-label": `${title}: ${nightName(to)}` }, sign)
    : h("span.step.off", { "aria-hidden": "true" }, sign);
  return h("div.heading", {},
    h("div", {}, h("p.over", {}, recording.device), h("h1", {}, nightName(recording)),
      h("p.quiet", {}, `${nightSpan(recording)} · ${recording.time_zone}`)),
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
