// The hypnogram as uPlot draws it: lanes of stages, a thin line from each to the next.

import { EPOCH_S, NAMES, STAGES, runs } from "./night.js";

/** @typedef {import("./night.js").Night} Night */

/** @param {string | null} stage @returns {number | null} the lane's height, deep at 0 */
export function lane(stage) {
  const place = STAGES.indexOf(/** @type {any} */ (stage));
  return place < 0 ? null : STAGES.length - 1 - place;
}

/** @param {Night} night */
export function lanes(night) {
  return night.stages.map(lane);
}

/** @param {any} _u @param {number[]} splits */
export function laneNames(_u, splits) {
  return splits.map((height) => NAMES[STAGES[STAGES.length - 1 - height]] ?? "");
}

/**
 * @param {() => Night} night
 * @param {() => Record<string, string>} colours
 * @returns {(u: any) => void} a uPlot hook that draws the night's stages
 */
export function drawer(night, colours) {
  return (u) => {
    const { ctx, bbox } = u;
    const { stages, times } = night();
    const colour = colours();
    const ratio = devicePixelRatio;
    const height = Math.max(6 * ratio, (bbox.height / STAGES.length) * 0.46);
    const x = (/** @type {number} */ time) => u.valToPos(time, "x", true);
    const y = (/** @type {number} */ at) => u.valToPos(at, "y", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    /** @type {{end: number, height: number} | null} */
    let before = null;
    for (const run of runs(stages)) {
      const at = lane(run.stage);
      const from = x(times[run.from]);
      const to = x(times[run.to - 1] + EPOCH_S);
      if (at === null) {
        if (run.stage === "out_of_bed") absent(ctx, colour.gap, from, to, bbox);
        before = null;
        continue;
      }
      if (before) joint(ctx, colour.joint, from, y(before.height), y(at), ratio);
      bar(ctx, colour[run.stage ?? ""], from, y(at) - height / 2, Math.max(to - from, ratio), height, 2.5 * ratio);
      before = { end: run.to, height: at };
    }
    ctx.restore();
  };
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {number} radius
 */
function bar(ctx, colour, x, y, width, height, radius) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, Math.min(radius, width / 2));
  ctx.fill();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {number} x
 * @param {number} from
 * @param {number} to
 * @param {number} width
 */
function joint(ctx, colour, x, from, to, width) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x, from);
  ctx.lineTo(x, to);
  ctx.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {number} from
 * @param {number} to
 * @param {{top: number, height: number}} bbox
 */
function absent(ctx, colour, from, to, bbox) {
  ctx.fillStyle = colour;
  ctx.fillRect(from, bbox.top, to - from, bbox.height);
}
