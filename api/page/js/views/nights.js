// All nights, the newest first.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { duration, number } from "../format.js";
import { stageMinutes } from "../figures.js";
import { STAGES } from "../night.js";
import { noDevices, noNights } from "./empty.js";
import { deviceChoice, nightName, nightSpan, usual } from "./parts.js";

/** @type {import("../main.js").View} */
export async function nightsView({ element }) {
  const devices = await api.devices();
  if (devices.length === 0) {
    fill(element, h("h1", {}, "Nights"), noDevices());
    return "Nights";
  }
  const holder = h("div");
  const show = async (/** @type {string} */ device) => {
    const nights = await api.nights(device, 400);
    fill(holder, nights.length ? list(nights) : noNights());
  };
  const device = usual(devices);
  const jump = h("label.choice", {}, "Go to ", h("input", { type: "date", "aria-label": "Evening of the night",
    onchange: (/** @type {any} */ event) => void goTo(device.name, event.target.value) }));
  fill(element, h("div.heading", {}, h("h1", {}, "Nights"),
    h("div.choices", {}, deviceChoice(devices, device.name, (name) => void show(name)), jump)), holder);
  await show(device.name);
  return "Nights";
}

/**
 * @param {string} device
 * @param {string} evening
 */
async function goTo(device, evening) {
  const nights = await api.nights(device, 400);
  const found = nights.find((each) => each.evening <= evening) ?? nights.at(-1);
  if (found) location.hash = `#/night/${found.id}`;
}

/** @param {any[]} nights */
function list(nights) {
  const most = Math.max(...nights.map((each) => each.figures.tib_min ?? 0), 1);
  return h("ol.nights", {}, ...nights.map((night, place) => h("li", {}, row(night, most, place === 0))));
}

/**
 * @param {any} night
 * @param {number} most minutes
 * @param {boolean} isNewest
 */
function row(night, most, isNewest) {
  const minutes = stageMinutes(night.figures);
  const bar = h("span.mini", { "aria-hidden": "true" });
  for (const stage of [...STAGES].reverse()) {
    const piece = h(`span.bg-${stage}`);
    piece.style.width = `${(100 * (minutes[stage] ?? 0)) / most}%`;
    bar.append(piece);
  }
  return h("a.night-row", { href: `#/night/${night.id}` },
    h("span.night-name", {}, nightName(night), isNewest && night.state === "open" && h("span.tag", {}, "still open"),
      night.note && h("span.tag", {}, "note")),
    h("span.quiet.night-span", {}, nightSpan(night)), bar,
    h("span.night-asleep", {}, duration(night.figures.tst_min)),
    h("span.quiet.night-eff", {}, number(night.figures.efficiency_percent, 0, "%")));
}
