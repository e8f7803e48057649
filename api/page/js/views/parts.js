// Parts that several views share.

import * as api from "../api.js";
import { h } from "../dom.js";
import { addEpochs, fromHypnogram } from "../night.js";
import { clock, evening } from "../format.js";

/** @typedef {import("../night.js").Night} Night */

/**
 * @param {any} recording
 * @returns {Promise<Night>} its stages and what was measured
 */
export async function wholeNight(recording) {
  const [hypnogram, epochs] = await Promise.all([
    api.hypnogram(recording.id),
    api.epochs(recording.device, Date.parse(recording.started_at) / 1000, Date.parse(recording.ended_at) / 1000),
  ]);
  return addEpochs(fromHypnogram(hypnogram), epochs);
}

/**
 * Choose a device; the choice is kept for this tab.
 * @param {any[]} devices
 * @param {string} chosen
 * @param {(name: string) => void} onchoice
 */
export function deviceChoice(devices, chosen, onchoice) {
  if (devices.length < 2) return null;
  return h("label.choice", {}, "Device ", h("select", {
    onchange(/** @type {any} */ event) {
      sessionStorage.setItem("noctis.device", event.target.value);
      onchoice(event.target.value);
    },
  }, ...devices.map((each) => h("option", { value: each.name, selected: each.name === chosen }, each.name))));
}

/**
 * @param {any[]} devices
 * @returns {any} the one that was chosen last, else the one that was heard last
 */
export function usual(devices) {
  const known = devices.find((each) => each.name === sessionStorage.getItem("noctis.device"));
  const newest = [...devices].sort((a, b) =>
    String(b.reported?.at ?? "").localeCompare(String(a.reported?.at ?? "")));
  return known ?? newest[0];
}

/** @param {any} recording */
export function nightName(recording) {
  const told = evening(recording.evening);
  return recording.kind === "nap" ? `Nap, ${told}` : told;
}

/** @param {any} recording */
export function nightSpan(recording) {
  const zone = recording.time_zone;
  return `${clock(recording.started_at, zone)} – ${clock(recording.ended_at, zone)}`;
}

const GONE = [401, 404];

/** @param {unknown} error of a look at what is shown already: the next one may do better */
export function leave(error) {
  if (error instanceof api.ApiError && GONE.includes(error.status)) dispatchEvent(new HashChangeEvent("hashchange"));
}
