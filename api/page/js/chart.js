// Charts of a night below each other, on one axis of time and with one cursor.

import uPlot from "../vendor/uplot.js";
import { clock, hours, number } from "./format.js";
import { drawer, laneNames, lanes } from "./hypnogram.js";
import { EPOCH_S, LONG } from "./night.js";
import { colours, onTheme } from "./theme.js";
import { h } from "./dom.js";

/** @typedef {import("./night.js").Night} Night */
/** @typedef {"heart" | "breath" | "motion"} Trace */

const FONT = "500 11px Inter, system-ui, sans-serif";
const LEFT = 52;
const HEIGHTS = { stages: 190, heart: 112, breath: 92, motion: 72 };
/** @type {[Trace, string, string, [number, number]][]} what, title, unit, least range */
const TRACES = [
  ["heart", "Heart rate", "bpm", [50, 75]],
  ["breath", "Breathing", "per minute", [10, 20]],
  ["motion", "Movement", "% of the time", [0, 20]],
];

let groups = 0;

/**
 * @param {() => Night} night what to draw, now
 * @param {{zone: string, until?: () => number, relative?: boolean, signal: AbortSignal,
 *   onpoint?: (column: number | null) => void, traces?: Trace[]}} options
 *   `until`: where the axis ends at least; `relative`: hours since the first epoch
 */
export function nightCharts(night, options) {
  const sync = `night-${groups += 1}`;
  const element = h("div.charts");
  let colour = colours();
  const shared = { sync, options, colour: () => colour, night };
  /** @type {{u: any, data: () => any[], height: number}[]} */
  let plots = [];
  const draw = (/** @type {number} */ width) => {
    const begun = performance.now();
    plots = panels(night, shared.colour, options.traces).map((own) => plot(element, shared, own, width));
    queueMicrotask(() => performance.measure("noctis-night-drawn", { start: begun }));
  };
  const redraw = () => plots.forEach(({ u, data }) => u.setData([night().times, data()]));
  // Nothing is drawn before it is known how wide: that would be drawing twice.
  const watcher = new ResizeObserver(([{ contentRect }]) => {
    const width = Math.floor(contentRect.width);
    if (plots.length === 0) draw(width);
    else plots.forEach(({ u, height }) => u.width !== width && u.setSize({ width, height }));
  });
  watcher.observe(element);
  onTheme(() => { colour = colours(); redraw(); }, options.signal);
  options.signal.addEventListener("abort", () => {
    watcher.disconnect();
    plots.forEach(({ u }) => u.destroy());
  }, { once: true });
  const point = (/** @type {number} */ column) => plots.forEach(({ u }) => {
    u.setCursor({ left: u.valToPos(night().times[column], "x"), top: 10 });
  });
  return { element, redraw, point };
}

/**
 * @param {() => Night} night
 * @param {() => Record<string, string>} colour
 * @param {Trace[]} [traces] which; without, all
 * @returns {any[]} what each chart is, from the top
 */
function panels(night, colour, traces) {
  const wanted = TRACES.filter(([name]) => !traces || traces.includes(name));
  const stages = {
    title: "Sleep stages", height: HEIGHTS.stages, last: wanted.length === 0, data: () => lanes(night()),
    axis: { splits: () => [0, 1, 2, 3], values: laneNames, grid: { show: false } },
    scale: { range: () => [-0.6, 3.6] },
    series: { paths: () => null, points: { show: false } },
    hooks: { drawAxes: [drawer(night, colour)] },
  };
  return [stages, ...wanted.map(([name, title, unit, least], index) => ({
    title: `${title}, ${unit}`, height: HEIGHTS[name], last: index === wanted.length - 1,
    data: () => night()[name],
    axis: { space: 28 },
    scale: { range: (/** @type {any} */ _u, /** @type {number} */ low, /** @type {number} */ high) =>
      [Math.min(least[0], Math.floor(low ?? least[0])), Math.max(least[1], Math.ceil(high ?? least[1]))] },
    series: {
      stroke: () => colour()[name], width: name === "motion" ? 1 : 1.5, points: { show: false },
      ...(name === "motion" && { paths: uPlot.paths.bars?.({ size: [1, 8] }), fill: () => colour()[name] }),
    },
  }))];
}

/**
 * @param {HTMLElement} parent
 * @param {any} shared
 * @param {any} own
 * @param {number} width
 */
function plot(parent, { sync, options, colour, night }, own, width) {
  const height = own.height + (own.last ? 26 : 0);
  const label = h("p.chart-title", {}, own.title);
  const holder = h("div.chart");
  parent.append(label, holder);
  const quiet = () => colour().quiet;
  const u = new uPlot({
    width, height, legend: { show: false },
    padding: [6, 18, own.last ? 0 : 6, 0],
    cursor: { sync: { key: sync, setSeries: false }, y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false, range: (/** @type {any} */ _u, /** @type {number} */ low, /** @type {number} */ high) => span(low ?? night().start, high, options) }, y: own.scale },
    series: [{}, own.series],
    hooks: { ...own.hooks, setCursor: [(/** @type {any} */ it) => {
      if (own.title === "Sleep stages") options.onpoint?.(it.cursor.idx ?? null);
    }] },
    axes: [
      { show: own.last, font: FONT, stroke: quiet, size: 26, gap: 6, ticks: { show: false }, grid: { stroke: () => colour().grid, width: 1 },
        splits: (/** @type {any} */ it) => ticks(it, options), values: (/** @type {any} */ _u, /** @type {number[]} */ at) => at.map((each) => tickName(each, options)) },
      { font: FONT, stroke: quiet, size: LEFT, gap: 8, ticks: { show: false }, grid: { stroke: () => colour().grid, width: 1 }, ...own.axis },
    ],
  }, [night().times, own.data()], holder);
  return { u, data: own.data, height };
}

/**
 * @param {number} low
 * @param {number} high
 * @param {any} options
 * @returns {[number, number]}
 */
function span(low, high, options) {
  const end = (high ?? low) + EPOCH_S;
  return [low, Math.max(end, options.until?.() ?? end)];
}

/**
 * @param {any} u
 * @param {any} options
 */
function ticks(u, { zone, relative }) {
  const { min, max } = u.scales.x;
  const room = Math.max(1, u.width / 64);
  const every = [1, 2, 3, 6, 12].find((step) => (max - min) / 3600 / step <= room) ?? 24;
  if (relative) {
    return Array.from({ length: Math.floor(max / 3600 / every) + 1 }, (_, index) => index * every * 3600);
  }
  return hours(min, max, zone, every);
}

/**
 * @param {number} at
 * @param {any} options
 */
function tickName(at, { zone, relative }) {
  return relative ? `${at / 3600} h` : clock(at, zone);
}

/**
 * @param {Night} night
 * @param {number} column
 * @param {string} zone
 * @returns {{time: string, stage: string, heart: string, breath: string, motion: string}}
 */
export function reading(night, column, zone) {
  return {
    time: clock(night.times[column], zone),
    stage: LONG[night.stages[column] ?? "missing"],
    heart: number(night.heart[column]),
    breath: number(night.breath[column], 1),
    motion: number(night.motion[column]),
  };
}
