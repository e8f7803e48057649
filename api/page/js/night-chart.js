// The charts of a night as one part: with what is below the cursor in words, arrow keys, and the
// same night as a table.

import { nightCharts, reading } from "./chart.js";
import { fill, h, say } from "./dom.js";
import { clock, duration, number } from "./format.js";
import { LONG, range, runs } from "./night.js";

/** @typedef {import("./night.js").Night} Night */

const STEP = 1;
const LEAP = 20;

/**
 * @param {() => Night} night
 * @param {{zone: string, until?: () => number, signal: AbortSignal, title: string}} options
 */
export function nightChart(night, options) {
  const words = h("p.reading", { "aria-hidden": "true" });
  const rest = () => fill(words, h("span.quiet", {}, "Point at the night, or use the arrow keys."));
  let byKey = false;
  let column = 0;
  const charts = nightCharts(night, { ...options, onpoint(at) {
    if (at === null) return rest();
    column = at;
    const it = reading(night(), at, options.zone);
    fill(words, h("b", {}, it.time), h("span", {}, it.stage),
      h("span", {}, `${it.heart} bpm`), h("span", {}, `${it.breath} breaths/min`),
      h("span", {}, `${it.motion} % moving`));
    slider.setAttribute("aria-valuenow", String(at));
    slider.setAttribute("aria-valuetext",
      `${it.time}, ${it.stage}, heart rate ${it.heart}, breathing ${it.breath}, moving ${it.motion} %`);
  } });
  const slider = h("div.slider", {
    role: "slider", tabIndex: 0, "aria-label": `${options.title}: position in the night`,
    "aria-valuemin": "0", "aria-valuemax": String(Math.max(0, night().times.length - 1)),
    "aria-valuenow": "0", "aria-valuetext": "start of the night",
    onkeydown(/** @type {KeyboardEvent} */ event) {
      const last = night().times.length - 1;
      const moved = move(event.key, event.shiftKey, column, last);
      if (moved === null) return;
      event.preventDefault();
      byKey = true;
      column = moved;
      charts.point(moved);
    },
    onblur() { if (byKey) { byKey = false; rest(); } },
  }, charts.element);
  rest();
  const table = h("div.table-holder", {
    tabIndex: 0, role: "region", "aria-label": `${options.title} as a table`,
  });
  const details = h("details.as-table", { ontoggle() {
    if (details.open) fill(table, asTable(night(), options.zone));
  } }, h("summary", {}, "The night as a table"), table);
  const element = h("section.card.night-chart", { "aria-label": options.title },
    h("div.card-head", {}, h("h2", {}, options.title), words), slider, details);
  return {
    element,
    redraw() {
      charts.redraw();
      slider.setAttribute("aria-valuemax", String(Math.max(0, night().times.length - 1)));
      if (details.open) fill(table, asTable(night(), options.zone));
    },
    say,
  };
}

/**
 * @param {string} key
 * @param {boolean} shift
 * @param {number} column
 * @param {number} last
 * @returns {number | null} the column that a key leads to
 */
export function move(key, shift, column, last) {
  const step = shift ? LEAP : STEP;
  /** @type {Record<string, number>} */
  const ways = {
    ArrowLeft: column - step, ArrowDown: column - step, ArrowRight: column + step,
    ArrowUp: column + step, PageDown: column - LEAP, PageUp: column + LEAP, Home: 0, End: last,
  };
  return key in ways ? Math.min(last, Math.max(0, ways[key])) : null;
}

/**
 * @param {Night} night
 * @param {string} zone
 * @returns {HTMLElement} a row for each stretch of one stage
 */
function asTable(night, zone) {
  const body = h("tbody");
  for (const run of runs(night.stages)) {
    const part = (/** @type {(number | null)[]} */ column) => range(column.slice(run.from, run.to))?.mean;
    body.append(h("tr", {},
      h("td", {}, clock(night.times[run.from], zone)),
      h("th", { scope: "row" }, LONG[run.stage ?? "missing"]),
      h("td", {}, duration((run.to - run.from) / 2)),
      h("td", {}, number(part(night.heart))), h("td", {}, number(part(night.breath), 1)),
      h("td", {}, number(part(night.motion)))));
  }
  const head = ["From", "Stage", "For", "Heart rate, bpm", "Breathing, per min", "Moving, %"];
  return h("table", {}, h("caption.unseen", {}, "Stretches of one stage"),
    h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))), body);
}
