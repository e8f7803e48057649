// The figures of a night in words.

import { h } from "./dom.js";
import { duration, number } from "./format.js";

/** @type {[string, (value: number | null) => string, string][]} name, how it is told, title */
export const FIGURES = [
  ["tst_min", duration, "Asleep"],
  ["tib_min", duration, "In bed"],
  ["efficiency_percent", (value) => number(value, 0, "%"), "Efficiency"],
  ["sol_min", duration, "To fall asleep"],
  ["waso_min", duration, "Awake after that"],
  ["awakenings", (value) => number(value), "Awakenings"],
  ["rem_latency_min", duration, "To first REM"],
  ["deep_min", duration, "Deep sleep"],
  ["rem_min", duration, "REM sleep"],
  ["light_min", duration, "Light sleep"],
];

/**
 * @param {Record<string, number | null>} figures
 * @param {string[]} names
 */
export function figureList(figures, names) {
  const list = h("dl.figures");
  for (const [name, told, title] of FIGURES) {
    if (!names.includes(name)) continue;
    list.append(h("div", {}, h("dt", {}, title), h("dd", {}, told(figures[name] ?? null))));
  }
  return list;
}

/** @param {Record<string, number | null>} figures */
export function stageMinutes(figures) {
  return {
    wake: figures.wake_min, rem: figures.rem_min, light: figures.light_min, deep: figures.deep_min,
  };
}
