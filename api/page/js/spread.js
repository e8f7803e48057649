// Weeks of a figure: a bar from the lower to the upper quartile, a dot at the median.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 120;
const LEFT = 44;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 22;

/**
 * @typedef {{low: number, high: number, median: number} | null} Spread
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text) element.textContent = text;
  return element;
}

/**
 * @param {Spread[]} spreads
 * @param {number} least how far the axis reaches at least
 * @returns {[number, number]} the ends of the axis
 */
export function reach(spreads, least) {
  const known = /** @type {{low: number, high: number}[]} */ (spreads.filter((each) => each !== null));
  if (known.length === 0) return [0, least];
  const low = Math.min(...known.map((each) => each.low));
  const high = Math.max(...known.map((each) => each.high));
  const more = Math.max(0, least - (high - low)) / 2;
  return [low - more, high + more];
}

/**
 * @param {Spread[]} spreads a week each, the oldest first
 * @param {string[]} names of the weeks
 * @param {{least: number, told: (value: number) => string, title: string}} options
 * @returns {SVGElement}
 */
export function spreadChart(spreads, names, { least, told, title }) {
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spread", role: "img", "aria-label": title });
  const [low, high] = reach(spreads, least);
  const y = (/** @type {number} */ value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low || 1));
  const step = (WIDTH - LEFT - RIGHT) / spreads.length;
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "spread-grid" }));
    svg.append(shape("text", { x: LEFT - 8, y: y(value) + 3, "text-anchor": "end", class: "spread-text" }, told(value)));
  }
  const every = Math.ceil(spreads.length / 4);
  spreads.forEach((spread, place) => {
    const x = LEFT + step * (place + 0.5);
    if ((spreads.length - 1 - place) % every === 0) {
      svg.append(shape("text", { x, y: HEIGHT - 5, "text-anchor": "middle", class: "spread-text" }, names[place]));
    }
    if (!spread) return;
    const height = Math.max(2, y(spread.low) - y(spread.high));
    svg.append(shape("rect", { x: x - 4, y: y(spread.high), width: 8, height, rx: 4, class: "spread-bar" }));
    svg.append(shape("circle", { cx: x, cy: y(spread.median), r: 3.5, class: "spread-dot" }));
  });
  return svg;
}
