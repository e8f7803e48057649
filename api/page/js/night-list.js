// The list of nights, which goes on being the same list when a night of it changes.

import { fill, h } from "./dom.js";
import { stageMinutes } from "./figures.js";
import { duration, number, openness } from "./format.js";
import { STAGES } from "./night.js";
import { nightName, nightSpan } from "./views/parts.js";

/** @typedef {{item: HTMLElement, link: HTMLElement, told: string}} Row */

/**
 * @returns {{element: HTMLElement, show: (nights: any[]) => void}} `show` puts nights there, the
 *   newest first; what has not changed is not touched, so focus, selection and scroll stay
 */
export function nightList() {
  const element = h("ol.nights");
  /** @type {Map<string, Row>} */
  const rows = new Map();
  const show = (/** @type {any[]} */ nights) => {
    element.style.setProperty("--longest", String(Math.max(1, ...nights.map(({ figures }) => figures.tib_min ?? 0))));
    leave(rows, new Set(nights.map(({ id }) => id)));
    let next = element.firstElementChild;
    for (const night of nights) {
      const row = rows.get(night.id) ?? added(rows, night);
      if (row.item === next) next = next.nextElementSibling;
      else element.insertBefore(row.item, next);
      renew(row, night);
    }
  };
  return { element, show };
}

/**
 * Take out the rows of nights that are none any more; focus goes to a row beside it.
 * @param {Map<string, Row>} rows
 * @param {Set<string>} wanted
 */
function leave(rows, wanted) {
  for (const [id, { item, link }] of rows) {
    if (wanted.has(id)) continue;
    const beside = item.nextElementSibling ?? item.previousElementSibling;
    if (link === document.activeElement) beside?.querySelector("a")?.focus({ preventScroll: true });
    item.remove();
    rows.delete(id);
  }
}

/**
 * @param {Map<string, Row>} rows
 * @param {any} night
 * @returns {Row}
 */
function added(rows, night) {
  const link = h("a.night-row", { href: `#/night/${night.id}` });
  const row = { item: h("li", {}, link), link, told: "" };
  rows.set(night.id, row);
  return row;
}

/**
 * @param {Row} row
 * @param {any} night
 */
function renew(row, night) {
  const open = openness(night, Date.now() / 1000);
  const told = JSON.stringify([open, night]);
  if (told === row.told) return;
  row.told = told;
  fill(row.link,
    h("span.night-name", {}, h("span", {}, nightName(night)), open && h("span.tag", {}, open), night.note && h("span.tag", {}, "note")),
    h("span.quiet.night-span", {}, nightSpan(night)), bar(night),
    h("span.night-asleep", {}, duration(night.figures.tst_min)),
    h("span.quiet.night-eff", {}, number(night.figures.efficiency_percent, 0, "%")));
}

/** @param {any} night */
function bar({ figures }) {
  const minutes = stageMinutes(figures);
  return h("span.mini", { "aria-hidden": "true" }, ...[...STAGES].reverse().map((stage) => {
    const piece = h(`span.bg-${stage}`);
    piece.style.width = `calc(100% * ${minutes[stage] ?? 0} / var(--longest))`;
    return piece;
  }));
}
