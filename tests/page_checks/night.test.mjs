import assert from "node:assert/strict";
import test from "node:test";
import {
  addEpochs, addStages, blank, fromHypnogram, minutes, range, runs, sinceLastPause, sinceLightsOut,
} from "../../api/page/js/night.js";

const START = Date.parse("2026-03-01T22:00:00Z") / 1000;
const at = (column) => new Date((START + 30 * column) * 1000).toISOString();
const epoch = (column, heart, in_bed = true) => ({
  start: at(column), in_bed, features: { hr_mean: heart, rr_mean: 14, move_frac: 0.5 },
});

test("epochs and stages that come late, twice and in any order land in their columns", () => {
  const night = blank(START, 0);
  addEpochs(night, [epoch(3, 60), epoch(0, 57)]);
  addStages(night, [{ start: at(3), stage: "deep" }, { start: at(0), stage: "wake" }]);
  addEpochs(night, [epoch(0, 58), epoch(1, 59)]);
  assert.deepEqual(night.heart, [58, 59, null, 60]);
  assert.deepEqual(night.stages, ["wake", null, null, "deep"]);
  assert.deepEqual(night.motion, [50, 50, null, 50]);
  assert.deepEqual(night.times, [0, 1, 2, 3].map((column) => START + 30 * column));
});

test("an epoch whose clock is off by some seconds stays in its column", () => {
  const night = blank(START, 2);
  addEpochs(night, [{ ...epoch(1, 61), start: new Date((START + 42) * 1000).toISOString() }]);
  assert.deepEqual(night.heart, [null, 61]);
});

test("what was before the night, or claims to be years later, changes nothing", () => {
  const night = blank(START, 1);
  addEpochs(night, [epoch(-5, 99), epoch(4_000_000, 99)]);
  addStages(night, [{ start: at(-5), stage: "rem" }]);
  assert.deepEqual(night.heart, [null]);
  assert.equal(night.times.length, 1);
});

test("out of bed nothing is measured of a heart", () => {
  const night = addEpochs(blank(START, 0), [epoch(0, 58), epoch(1, 90, false)]);
  assert.deepEqual(night.heart, [58, null]);
  assert.equal(night.stages[1], "out_of_bed");
});

test("a stage that is not known does not put out one that is", () => {
  const night = addStages(blank(START, 2), [{ start: at(0), stage: "rem" }]);
  addStages(night, [{ start: at(0), stage: null }, { start: at(1), stage: null }]);
  assert.deepEqual(night.stages, ["rem", "unstaged"]);
});

test("a hypnogram's codes become stages by its own labels", () => {
  const night = fromHypnogram({ started_at: at(0), labels: ["wake", "light", "missing"], codes: [0, 1, 1, 2] });
  assert.deepEqual(night.stages, ["wake", "light", "light", "missing"]);
  assert.deepEqual(runs(night.stages), [
    { stage: "wake", from: 0, to: 1 }, { stage: "light", from: 1, to: 3 }, { stage: "missing", from: 3, to: 4 },
  ]);
  assert.deepEqual(minutes(night), { wake: 0.5, rem: 0, light: 1, deep: 0 });
});

test("a new night begins behind a long pause, not behind a short one", () => {
  const night = fromHypnogram({ started_at: at(0), labels: ["light", "out_of_bed"], codes: [0, 1, 1, 1, 0, 0] });
  assert.equal(sinceLastPause(night, 4), night);
  const cut = sinceLastPause(night, 3);
  assert.deepEqual(cut.stages, ["light", "light"]);
  assert.equal(cut.start, START + 120);
  assert.equal(cut.heart.length, 2);
});

test("a range leaves gaps out, and is nothing where all is a gap", () => {
  assert.deepEqual(range([null, 50, 60, null]), { least: 50, most: 60, mean: 55 });
  assert.equal(range([null, null]), null);
});

test("two nights are compared by the time since they began", () => {
  assert.deepEqual(sinceLightsOut(blank(START, 3)).times, [0, 30, 60]);
});
