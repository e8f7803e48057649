// What the canvas needs to know of the style sheet: colours, for light and for dark.

/** @returns {Record<string, string>} */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["wake", "rem", "light", "deep", "heart", "breath", "motion", "grid", "quiet", "gap", "joint", "other"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/**
 * @param {() => void} action taken whenever light becomes dark or back
 * @param {AbortSignal} signal
 */
export function onTheme(action, signal) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", action, { signal });
}
