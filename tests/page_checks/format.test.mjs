import assert from "node:assert/strict";
import test from "node:test";
import { ago, clock, duration, evening, hours, number, seconds, wall } from "../../api/page/js/format.js";

test("durations are told in hours and minutes, and what is unknown as nothing", () => {
  assert.equal(duration(436.5), "7 h 17 min");
  assert.equal(duration(480), "8 h");
  assert.equal(duration(59.6), "1 h");
  assert.equal(duration(0), "0 min");
  assert.equal(duration(null), "–");
  assert.equal(duration(undefined), "–");
  assert.equal(duration(NaN), "–");
});

test("numbers have a unit, and none where they are unknown", () => {
  assert.equal(number(58.44, 1, "bpm"), "58.4 bpm");
  assert.equal(number(0), "0");
  assert.equal(number(null, 1, "bpm"), "–");
});

test("times are those of the bed's place, midnight included", () => {
  assert.equal(clock("2026-03-01T22:14:30Z", "Europe/Berlin"), "23:14");
  assert.equal(clock("2026-03-01T23:00:00Z", "Europe/Berlin"), "00:00");
  assert.equal(clock("2026-03-01T22:14:30Z", "Asia/Kolkata"), "03:44");
  assert.equal(evening("2026-03-01"), "Sunday 1 March");
});

test("an hour that the clocks repeat has two ticks, an hour that they skip none", () => {
  const autumn = hours(seconds("2026-10-24T22:00:00Z"), seconds("2026-10-25T03:00:00Z"), "Europe/Berlin", 1);
  assert.deepEqual(autumn.map((at) => clock(at, "Europe/Berlin")),
    ["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"]);
  const spring = hours(seconds("2026-03-28T23:00:00Z"), seconds("2026-03-29T03:00:00Z"), "Europe/Berlin", 1);
  assert.deepEqual(spring.map((at) => clock(at, "Europe/Berlin")),
    ["00:00", "01:00", "03:00", "04:00", "05:00"]);
});

test("ticks stand at full hours where a zone is half an hour or a quarter off", () => {
  for (const zone of ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]) {
    const ticks = hours(seconds("2026-03-01T20:07:00Z"), seconds("2026-03-02T04:00:00Z"), zone, 2);
    assert.ok(ticks.length >= 3, zone);
    assert.ok(ticks.every((at) => /^[0-2][02468]:00$/.test(clock(at, zone))), zone);
  }
});

test("a moment in the future is just now, not a negative age", () => {
  assert.equal(ago(100, 50), "just now");
  assert.equal(ago(0, 180), "3 min ago");
  assert.equal(ago(0, 7200), "2 h ago");
});

test("minutes since noon are a time on the wall, past midnight and before noon too", () => {
  assert.equal(wall(660), "23:00");
  assert.equal(wall(765.4), "00:45");
  assert.equal(wall(1160), "07:20");
  assert.equal(wall(-30), "11:30");
});
