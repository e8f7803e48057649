// Two nights below each other, by the time since they began.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { FIGURES, signed } from "../figures.js";
import { nightCharts } from "../chart.js";
import { evening } from "../format.js";
import { sinceLightsOut } from "../night.js";
import { noNights } from "./empty.js";
import { nightName, nightSpan, wholeNight } from "./parts.js";

/** @type {import("../main.js").View} */
export async function compareView({ element, signal, args }) {
  const nights = await api.nights("", 200);
  fill(element, h("h1", {}, "Compare"));
  if (nights.length < 2) {
    element.append(nights.length ? h("section.card.empty", {}, h("h2", {}, "One night so far"),
      h("p", {}, "With a second one they can be held side by side.")) : noNights());
    return "Compare";
  }
  const first = nights.find((each) => each.id === args[0]) ?? nights[0];
  const second = nights.find((each) => each.id === args[1]) ?? nights.find((each) => each !== first);
  const go = (/** @type {string} */ a, /** @type {string} */ b) => { location.hash = `#/compare/${a}/${b}`; };
  const holder = h("div.charts-pair");
  element.append(
    h("div.choices", {},
      choice("First night", nights, first, (id) => go(id, second.id)),
      choice("Second night", nights, second, (id) => go(first.id, id))),
    holder, table(first, second));
  const made = await Promise.all([first, second].map(wholeNight));
  const moved = made.map(sinceLightsOut);
  const until = () => Math.max(...moved.map((each) => (each.times.at(-1) ?? 0) + 30));
  [first, second].forEach((recording, place) => {
    const charts = nightCharts(() => moved[place], {
      zone: recording.time_zone, relative: true, until, signal, traces: ["heart"],
    });
    holder.append(h("section.card", { "aria-label": nightName(recording) },
      h("div.card-head", {}, h("h2", {}, nightName(recording)),
        h("p.quiet", {}, `${recording.device} · ${nightSpan(recording)}`)), charts.element));
  });
  return "Compare";
}

/**
 * @param {string} title
 * @param {any[]} nights
 * @param {any} chosen
 * @param {(id: string) => void} onchoice
 */
function choice(title, nights, chosen, onchoice) {
  return h("label.choice", {}, `${title} `, h("select", {
    onchange: (/** @type {any} */ event) => onchoice(event.target.value),
  }, ...nights.map((each) => h("option", { value: each.id, selected: each === chosen },
    `${nightName(each)} · ${each.device}`))));
}

/**
 * @param {any} first
 * @param {any} second
 */
function table(first, second) {
  const rows = FIGURES.map(([name, told, title]) => {
    const [a, b] = [first, second].map(({ figures }) => figures[name] ?? null);
    const change = a === null || b === null ? "" : signed(a - b, name);
    return h("tr", {}, h("th", { scope: "row" }, title), h("td", {}, told(a)), h("td", {}, told(b)), h("td.quiet", {}, change));
  });
  const head = ["", evening(first.evening, "short"), evening(second.evening, "short"), "Difference"];
  return h("section.card.table-holder.both", { tabIndex: 0, "aria-label": "Figures of both nights" }, h("table", {}, h("caption.unseen", {}, "Figures of both nights"),
    h("thead", {}, h("tr", {}, ...head.map((title) => h(title ? "th" : "td", title ? { scope: "col" } : {}, title)))),
    h("tbody", {}, ...rows)));
}
