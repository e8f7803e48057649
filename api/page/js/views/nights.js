// All nights, the newest first, as they are now.

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { nightList } from "../night-list.js";
import { whileSeen } from "../seen.js";
import { noDevices, noNights } from "./empty.js";
import { deviceChoice, leave, usual } from "./parts.js";

const EVERY_MS = 15_000;

/** @type {import("../main.js").View} */
export async function nightsView({ element, signal }) {
  const devices = await api.devices();
  if (devices.length === 0) {
    fill(element, h("h1", {}, "Nights"), noDevices());
    return "Nights";
  }
  const holder = h("div");
  const shown = new Nights(usual(devices).name, holder);
  const again = () => shown.look().catch(leave);
  const jump = h("label.choice", {}, "Go to ", h("input", { type: "date", "aria-label": "Evening of the night",
    onchange: (/** @type {any} */ event) => goTo(shown.nights, event.target.value) }));
  const choice = deviceChoice(devices, shown.device, (name) => {
    shown.device = name;
    void again();
  });
  fill(element, h("div.heading", {}, h("h1", {}, "Nights"), h("div.choices", {}, choice, jump)), holder);
  await shown.look();
  whileSeen(again, { every: EVERY_MS, signal });
  return "Nights";
}

/** A device's nights, and where they are shown. */
class Nights {
  /**
   * @param {string} device
   * @param {HTMLElement} holder
   */
  constructor(device, holder) {
    this.device = device;
    this.holder = holder;
    this.list = nightList();
    this.none = noNights();
    /** @type {any[]} */
    this.nights = [];
    this.etag = "";
  }

  /** Ask for what has changed, and show what is so now. */
  async look() {
    const { device } = this;
    const changed = await api.changedNights(device, this.etag);
    if (device !== this.device) return;
    if (changed) Object.assign(this, changed);
    this.list.show(this.nights);
    const shown = this.nights.length ? this.list.element : this.none;
    if (shown !== this.holder.firstElementChild) fill(this.holder, shown);
  }
}

/**
 * @param {any[]} nights
 * @param {string} evening
 */
function goTo(nights, evening) {
  const found = nights.find((each) => each.evening <= evening) ?? nights.at(-1);
  if (found) location.hash = `#/night/${found.id}`;
}
