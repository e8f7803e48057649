// The figures of a night in words.

import { h } from "./dom.js";
import { duration, number } from "./format.js";

/** @typedef {(value: number | null) => string} Told */

/** @type {Told} */
const percent = (value) => number(value, 0, "%");
/** @type {Told} */
export const heartRate = (value) => number(value, 0, "bpm");
/** @type {Told} */
export const breathingRate = (value) => number(value, 1, "/min");

/** @type {[string, Told, string, string][]} name, how it is told, title, what it means */
export const FIGURES = [
  ["tst_min", duration, "Asleep", "light, deep and REM sleep together"],
  ["tib_min", duration, "In bed", "from the first moment in bed to the last, absences included"],
  ["efficiency_percent", percent, "Efficiency", "the share of the time in bed that was sleep"],
  ["sol_min", duration, "To fall asleep", "from going to bed to the first sleep"],
  ["waso_min", duration, "Awake after that", "all wake from the first sleep to the end"],
  ["awakenings", (value) => number(value), "Awakenings", "stretches of wake between the first and the last sleep"],
  ["rem_latency_min", duration, "To first REM", "from the first sleep to the first REM sleep"],
  ["deep_min", duration, "Deep sleep", "time in N3"],
  ["rem_min", duration, "REM sleep", "time in REM"],
  ["light_min", duration, "Light sleep", "time in N1 and N2"],
  ["heart_rate_bpm", heartRate, "Heart rate", "asleep: the median of 30-second means, where the signal was good"],
  ["heart_rate_dip_percent", percent, "Heart rate dip", "how far that lies below the median awake in bed before the first sleep"],
  ["breathing_rate_per_min", breathingRate, "Breathing", "asleep: the median of 30-second means, where the signal was good"],
];

/**
 * @param {Record<string, number | null>} figures
 * @param {string[]} names
 */
export function figureList(figures, names) {
  const list = h("dl.figures");
  for (const [name, told, title] of shown(names)) {
    list.append(h("div", {}, h("dt", {}, title), h("dd", {}, told(figures[name] ?? null))));
  }
  return list;
}

/**
 * @param {string[]} names
 * @returns {HTMLElement} what these figures mean, for whoever asks
 */
export function meanings(names) {
  return h("details.meanings", {}, h("summary", {}, "What these mean"),
    h("dl", {}, ...shown(names).map(([, , title, meaning]) =>
      h("div", {}, h("dt", {}, title), h("dd", {}, meaning)))));
}

/** @param {string[]} names */
function shown(names) {
  return FIGURES.filter(([name]) => names.includes(name));
}

/** @param {Record<string, number | null>} figures */
export function stageMinutes(figures) {
  return {
    wake: figures.wake_min, rem: figures.rem_min, light: figures.light_min, deep: figures.deep_min,
  };
}

/**
 * @param {number} value a difference
 * @param {string} name of the figure
 * @returns {string} such as `+72 min`; ± where it rounds to nothing
 */
export function signed(value, name) {
  const told = differences(name);
  const size = told(Math.abs(value));
  return `${size === told(0) ? "±" : value > 0 ? "+" : "−"}${size}`;
}

/**
 * @param {string} name
 * @returns {(value: number) => string} how a difference of this figure is told
 */
function differences(name) {
  if (name.endsWith("_percent")) return (value) => number(value, 0, number(value) === "1" ? "point" : "points");
  if (name.endsWith("_min") && !name.endsWith("_per_min")) return (value) => number(value, 0, "min");
  return FIGURES.find(([each]) => each === name)?.[1] ?? number;
}
