import assert from "node:assert/strict";
import test from "node:test";
import { openness } from "../../api/page/js/format.js";
import { signed } from "../../api/page/js/figures.js";
import { whileSeen } from "../../api/page/js/seen.js";

/** A document of which only this matters here. */
class Seen extends EventTarget {
  hidden = false;

  turn(hidden) {
    this.hidden = hidden;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

const settled = () => new Promise((resolve) => { setImmediate(resolve); });

function watched(t, act) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const page = new Seen();
  const leave = new AbortController();
  whileSeen(act, { every: 1000, signal: leave.signal, page });
  const pass = async () => { t.mock.timers.tick(1000); await settled(); };
  return { page, leave, pass };
}

test("what is seen is looked at each time the time has passed, until it is left", async (t) => {
  let looks = 0;
  const { leave, pass } = watched(t, async () => { looks += 1; });
  await settled();
  assert.equal(looks, 0);
  await pass();
  await pass();
  assert.equal(looks, 2);
  leave.abort();
  await pass();
  assert.equal(looks, 2);
});

test("what nobody sees is left alone, and looked at as soon as somebody sees it again", async (t) => {
  let looks = 0;
  const { page, pass } = watched(t, async () => { looks += 1; });
  page.turn(true);
  await pass();
  await pass();
  assert.equal(looks, 0);
  page.turn(false);
  await settled();
  assert.equal(looks, 1);
  await pass();
  assert.equal(looks, 2);
});

test("a look that takes long is waited for, and never taken twice at a time", async (t) => {
  let looks = 0;
  let done = () => {};
  const { page, pass } = watched(t, () => { looks += 1; return new Promise((resolve) => { done = resolve; }); });
  await pass();
  page.turn(true);
  page.turn(false);
  await pass();
  assert.equal(looks, 1);
  done();
  await settled();
  await pass();
  assert.equal(looks, 2);
});

test("a night that has not closed is told as being recorded while it grows, then as not closed yet", () => {
  const night = { state: "open", ended_at: "2026-03-01T21:59:30Z", revised_at: "2026-03-01T22:00:00Z" };
  const then = Date.parse(night.revised_at) / 1000;
  assert.equal(openness(night, then + 60), "recording");
  assert.equal(openness(night, then + 600), "not closed yet");
  assert.equal(openness({ ...night, ended_at: "2026-02-27T05:00:00Z" }, then), "not closed yet");
  assert.equal(openness({ ...night, state: "closed" }, then), "");
});

test("a difference has a sign and the unit of its figure, and ± where it rounds to nothing", () => {
  assert.equal(signed(72.4, "tst_min"), "+72 min");
  assert.equal(signed(-3, "heart_rate_bpm"), "−3 bpm");
  assert.equal(signed(-0.26, "breathing_rate_per_min"), "−0.3 /min");
  assert.equal(signed(0.04, "breathing_rate_per_min"), "±0.0 /min");
  assert.equal(signed(-0.2, "sol_min"), "±0 min");
  assert.equal(signed(2, "heart_rate_dip_percent"), "+2 points");
  assert.equal(signed(-1.2, "efficiency_percent"), "−1 point");
  assert.equal(signed(-0.4, "awakenings"), "±0");
});
