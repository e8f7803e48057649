// A night that is still going on: what is stored of it, and then what comes.

import * as api from "./api.js";
import { EPOCH_S, addEpochs, addStages, blank, sinceLastPause } from "./night.js";
import { follow } from "./sse.js";

/** @typedef {import("./night.js").Night} Night */

const BACK_S = 12 * 3600;
const BREAK_S = 3 * 3600;
const FRESH_MS = 180_000;
const PACE_MS = 1000;

export class LiveNight {
  /** @param {any} device */
  constructor(device) {
    this.device = device.name;
    /** @type {Night} */
    this.night = blank(Math.floor(Date.now() / 1000), 0);
    /** @type {"live" | "waiting"} */
    this.state = "waiting";
    /** @type {Error | undefined} */
    this.error = undefined;
    /** @type {import("./night.js").Staged[]} */
    this.fresh = [];
    this.isLoading = false;
    this.heardAt = 0;
  }

  /** Read what is stored: the open night, else the last hours without a long gap. */
  async load() {
    const [recording] = await api.nights(this.device, 1);
    const open = recording?.state === "open" ? Date.parse(recording.started_at) / 1000 : null;
    const since = open ?? Date.now() / 1000 - BACK_S;
    const [epochs, staged] = await Promise.all([
      api.epochs(this.device, since), api.predictions(this.device, since),
    ]);
    this.take(epochs, staged);
  }

  /**
   * @param {import("./night.js").Epoch[]} epochs
   * @param {import("./night.js").Staged[]} staged
   */
  take(epochs, staged) {
    if (this.night.times.length === 0 && epochs.length > 0) {
      this.night = blank(Date.parse(epochs[0].start) / 1000, 0);
    }
    addEpochs(this.night, epochs);
    if (this.night.times.length > 0) addStages(this.night, staged);
    this.night = sinceLastPause(this.night, BREAK_S / EPOCH_S);
  }

  /** Whether what is last known is of this moment: heard just now, or measured just now. */
  get isFresh() {
    const newest = Math.max(this.heardAt, this.last().time * 1000);
    return Date.now() - newest < FRESH_MS;
  }

  /** The last column of which a stage is known. */
  get place() {
    return this.night.stages.findLastIndex((stage) => stage !== null && stage !== "unstaged");
  }

  /** @returns {string | null} */
  get stage() {
    return this.night.stages[this.place] ?? null;
  }

  /** @returns {number} unix seconds since when it is this stage */
  get since() {
    let column = this.place;
    while (column > 0 && this.night.stages[column - 1] === this.stage) column -= 1;
    return this.night.times[column] ?? 0;
  }

  last() {
    const { night, place } = this;
    return { time: night.times[place] ?? 0, heart: night.heart[place], breath: night.breath[place], motion: night.motion[place] };
  }

  /**
   * Follow the stream; each stage that comes brings what was measured with it.
   * @param {AbortSignal} signal
   * @param {() => void} onchange
   */
  follow(signal, onchange) {
    const path = `/v1/stages:stream?device=${encodeURIComponent(this.device)}`;
    void follow(path, {
      signal,
      onstate: (state, error) => {
        this.state = state;
        this.error = error;
        if (error?.status === 401) dispatchEvent(new HashChangeEvent("hashchange"));
        else onchange();
      },
      onevent: ({ event, data }) => {
        if (event !== "stage") return;
        const { t, stage } = JSON.parse(data);
        if (t === null) return;
        this.heardAt = Date.now();
        this.fresh.push({ start: t, stage });
        if (!this.isLoading) void this.catchUp(signal, onchange);
      },
    });
  }

  /**
   * Read the epochs of the stages that came; however fast they come, once a second.
   * @param {AbortSignal} signal
   * @param {() => void} onchange
   */
  async catchUp(signal, onchange) {
    this.isLoading = true;
    while (this.fresh.length > 0 && !signal.aborted) {
      const staged = this.fresh.splice(0);
      const since = Math.min(...staged.map(({ start }) => Date.parse(start))) / 1000;
      const epochs = await api.epochs(this.device, since - EPOCH_S).catch(() => null);
      if (signal.aborted) return;
      if (epochs) this.take(epochs, staged);
      else this.fresh.unshift(...staged);
      onchange();
      await new Promise((resolve) => { setTimeout(resolve, PACE_MS); });
    }
    this.isLoading = false;
  }
}
