// Nights over weeks: the middle of each figure, and how far nights lie around it.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { breathingRate, heartRate } from "../figures.js";
import { NOTHING, duration, evening, number, wall } from "../format.js";
import { spreadChart } from "../spread.js";
import { noDevices } from "./empty.js";
import { deviceChoice, usual } from "./parts.js";

const WEEKS = 12;
/** @type {[string, string, (value: number) => string, number][]} name, title, how told, least axis */
const FIGURES = [
  ["tst_min", "Asleep", duration, 120],
  ["efficiency_percent", "Efficiency", (value) => number(value, 0, "%"), 10],
  ["bedtime_min", "To bed", wall, 120],
  ["rise_min", "Up again", wall, 120],
  ["deep_percent", "Deep sleep", (value) => number(value, 0, "%"), 10],
  ["rem_percent", "REM sleep", (value) => number(value, 0, "%"), 10],
  ["sol_min", "To fall asleep", duration, 30],
  ["waso_min", "Awake after that", duration, 30],
  ["heart_rate_bpm", "Heart rate asleep", heartRate, 10],
  ["heart_rate_dip_percent", "Heart rate dip", (value) => number(value, 0, "%"), 10],
  ["breathing_rate_per_min", "Breathing asleep", breathingRate, 4],
];

/**
 * How the axis tells what has little room there.
 * @type {Map<(value: number) => string, (value: number) => string>}
 */
const SHORT = new Map([[duration, short], [breathingRate, (value) => number(value, 1)]]);

/** @type {import("../main.js").View} */
export async function trendsView({ element }) {
  const devices = await api.devices();
  if (devices.length === 0) {
    fill(element, h("h1", {}, "Trends"), noDevices());
    return "Trends";
  }
  const holder = h("div");
  const show = async (/** @type {string} */ name) => {
    const report = await api.get(`/v1/devices/${encodeURIComponent(name)}/trends?weeks=${WEEKS}`);
    fill(holder, ...parts(report));
  };
  const device = usual(devices);
  await show(device.name);
  fill(element, h("div.heading", {}, h("div", {}, h("p.over", {}, device.name), h("h1", {}, "Trends")),
    deviceChoice(devices, device.name, (name) => void show(name))), holder);
  return "Trends";
}

/** @param {any} report */
function parts(report) {
  if (report.nights === 0) {
    return [h("section.card.empty", {}, h("h2", {}, "No closed night in these weeks"),
      h("p", {}, "A night counts here once it is over."))];
  }
  const weeks = sinceFirst(report.weeks);
  const begun = report.weeks.findIndex((/** @type {any} */ week) => week.nights > 0);
  const missing = report.weeks.slice(begun).reduce(
    (/** @type {number} */ sum, /** @type {any} */ week) => sum + week.missing, 0);
  const names = weeks.map((/** @type {any} */ week) => evening(week.monday, "short").split(" ").slice(1).join(" "));
  return [
    h("section.card", { "aria-label": "In short" }, h("dl.figures", {},
      fact("Nights", String(report.nights)), fact("Evenings without one", String(missing)),
      fact("Regularity", report.regularity === null ? NOTHING : `${number(report.regularity)} of 100`))),
    h("div.trends", {}, ...FIGURES.filter(([name]) => isKnown(weeks, name)).map(([name, title, told, least]) => {
      const spreads = weeks.map((/** @type {any} */ week) => week.figures[name] ?? null);
      const last = spreads.findLast((/** @type {any} */ each) => each !== null);
      return h("section.card", { "aria-label": title },
        h("div.card-head", {}, h("h2", {}, title), h("p.quiet", {}, last ? told(last.median) : NOTHING)),
        spreadChart(spreads, names, { least, told: SHORT.get(told) ?? told, title: `${title}, week by week; the table below says the same` }));
    })),
    table(weeks, names),
  ];
}

/**
 * @param {any[]} weeks
 * @returns {any[]} those from the first with a night on, four at least
 */
export function sinceFirst(weeks) {
  const first = weeks.findIndex((week) => week.nights > 0);
  return weeks.slice(Math.min(Math.max(first, 0), Math.max(0, weeks.length - 4)));
}

/**
 * @param {any[]} weeks
 * @param {string} name
 */
function isKnown(weeks, name) {
  return weeks.some((week) => week.figures[name]);
}

/** @param {number} minutes */
function short(minutes) {
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** @param {string} name @param {string} value */
function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

/**
 * @param {any[]} weeks
 * @param {string[]} names
 */
function table(weeks, names) {
  const head = ["Week of", "Nights", ...FIGURES.map(([, title]) => title), "Regularity"];
  const rows = weeks.map((week, place) => h("tr", {},
    h("th", { scope: "row" }, names[place]), h("td", {}, week.nights),
    ...FIGURES.map(([name, , told]) => h("td", {}, week.figures[name] ? told(week.figures[name].median) : NOTHING)),
    h("td", {}, number(week.regularity))));
  return h("details.card.as-table", {}, h("summary", {}, "Medians as a table"),
    h("div.table-holder", { tabIndex: 0, role: "region", "aria-label": "Medians week by week" },
      h("table", {}, h("thead", {}, h("tr", {}, ...head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, ...rows))));
}
