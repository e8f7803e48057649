// A night as columns of 30 seconds each. Pure: no DOM, no network.

export const EPOCH_S = 30;

/** Lanes from the top; their height in the chart counts from the bottom. */
export const STAGES = /** @type {const} */ (["wake", "rem", "light", "deep"]);

/** @type {Record<string, string>} */
export const NAMES = { wake: "Awake", rem: "REM", light: "Light", deep: "Deep" };

/** @type {Record<string, string>} */
export const LONG = {
  wake: "Awake", rem: "REM sleep", light: "Light sleep", deep: "Deep sleep",
  out_of_bed: "Out of bed", unstaged: "No stage", missing: "No data",
};

/**
 * @typedef {{start: string, in_bed: boolean, features: Record<string, number | null>}} Epoch
 * @typedef {{start: string, stage: string | null}} Staged
 * @typedef {(number | null)[]} Column
 * @typedef {{start: number, times: number[], stages: (string | null)[], heart: Column,
 *   breath: Column, motion: Column}} Night
 *   `start`: unix seconds of the first column; null: nothing known
 */

/**
 * @param {number} start unix seconds
 * @param {number} count columns
 * @returns {Night}
 */
export function blank(start, count) {
  const empty = () => new Array(count).fill(null);
  return {
    start,
    times: Array.from({ length: count }, (_, index) => start + index * EPOCH_S),
    stages: empty(), heart: empty(), breath: empty(), motion: empty(),
  };
}

/**
 * @param {Night} night
 * @param {string} start of an epoch
 * @returns {number} its column, one that is not there yet included; -1 where it is before all
 */
export function place(night, start) {
  return Math.max(-1, Math.round((Date.parse(start) / 1000 - night.start) / EPOCH_S));
}

/** Two days: what claims to be later is no part of this night. */
const MOST = 5760;

/**
 * Make room for a column, with gaps before it.
 * @param {Night} night
 * @param {number} column
 * @returns {boolean} whether it is there
 */
function reach(night, column) {
  if (column < 0 || column >= MOST) return false;
  while (night.times.length <= column) {
    night.times.push(night.start + night.times.length * EPOCH_S);
    night.stages.push(null);
    night.heart.push(null);
    night.breath.push(null);
    night.motion.push(null);
  }
  return true;
}

/**
 * Put epochs into their columns; one that comes again replaces itself.
 * @param {Night} night
 * @param {Epoch[]} epochs
 * @returns {Night} the same
 */
export function addEpochs(night, epochs) {
  for (const { start, in_bed, features } of epochs) {
    const column = place(night, start);
    if (!reach(night, column)) continue;
    night.heart[column] = in_bed ? features.hr_mean ?? null : null;
    night.breath[column] = in_bed ? features.rr_mean ?? null : null;
    night.motion[column] = motionOf(features);
    if (!in_bed) night.stages[column] = "out_of_bed";
  }
  return night;
}

/** @param {Record<string, number | null>} features */
function motionOf(features) {
  const share = features.move_frac;
  return share === null || share === undefined ? null : 100 * share;
}

/**
 * @param {Night} night
 * @param {Staged[]} staged
 * @returns {Night} the same
 */
export function addStages(night, staged) {
  for (const { start, stage } of staged) {
    const column = place(night, start);
    if (!reach(night, column)) continue;
    if (stage !== null) night.stages[column] = stage;
    else if (night.stages[column] === null) night.stages[column] = "unstaged";
  }
  return night;
}

/**
 * @param {{started_at: string, labels: string[], codes: number[]}} hypnogram as the API tells it
 * @returns {Night}
 */
export function fromHypnogram(hypnogram) {
  const night = blank(Date.parse(hypnogram.started_at) / 1000, hypnogram.codes.length);
  night.stages = hypnogram.codes.map((code) => hypnogram.labels[code]);
  return night;
}

/**
 * Cut a night at its last pause: so many columns in which nobody was in bed, with somebody in bed
 * before and after.
 * @param {Night} night
 * @param {number} pause columns
 * @returns {Night}
 */
export function sinceLastPause(night, pause) {
  let begin = 0;
  let last = -1;
  night.stages.forEach((stage, column) => {
    if (stage === null || stage === "out_of_bed") return;
    if (last < 0 || column - last > pause) begin = column;
    last = column;
  });
  if (begin === 0) return night;
  const { times, stages, heart, breath, motion } = night;
  return {
    start: times[begin], times: times.slice(begin), stages: stages.slice(begin),
    heart: heart.slice(begin), breath: breath.slice(begin), motion: motion.slice(begin),
  };
}

/**
 * @typedef {{stage: string | null, from: number, to: number}} Run columns, `to` not included
 * @param {(string | null)[]} stages
 * @returns {Run[]} stretches of one stage
 */
export function runs(stages) {
  /** @type {Run[]} */
  const found = [];
  stages.forEach((stage, column) => {
    const last = found.at(-1);
    if (last && last.stage === stage) last.to = column + 1;
    else found.push({ stage, from: column, to: column + 1 });
  });
  return found;
}

/**
 * @param {Night} night
 * @returns {Record<string, number>} minutes of each stage
 */
export function minutes(night) {
  /** @type {Record<string, number>} */
  const found = { wake: 0, rem: 0, light: 0, deep: 0 };
  for (const stage of night.stages) {
    if (stage && stage in found) found[stage] += EPOCH_S / 60;
  }
  return found;
}

/**
 * @param {Column} column
 * @returns {{least: number, most: number, mean: number} | null}
 */
export function range(column) {
  const values = /** @type {number[]} */ (column.filter((value) => value !== null));
  if (values.length === 0) return null;
  const sum = values.reduce((total, value) => total + value, 0);
  return { least: Math.min(...values), most: Math.max(...values), mean: sum / values.length };
}

/**
 * Move a night so that its columns count from another one's start: for two nights on one axis.
 * @param {Night} night
 * @returns {Night} whose times are seconds since its first epoch
 */
export function sinceLightsOut(night) {
  return { ...night, start: 0, times: night.times.map((time) => time - night.start) };
}
