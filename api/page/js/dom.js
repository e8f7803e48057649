// Elements without a framework, and without a line of HTML in text.

/**
 * Make an element. `on…` members are listeners, `data-…` and `aria-…` attributes; null and
 * false leave a member or a child out.
 * @param {string} tag such as `p` or `p.quiet`
 * @param {Record<string, any>} [members]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, members = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(members)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && !key.includes("-")) /** @type {any} */ (element)[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

/**
 * @param {Element} element
 * @param {...(Node | string | number | null | undefined | false)} children
 */
export function put(element, ...children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Replace what an element holds.
 * @param {Element} element
 * @param {...(Node | string | number | null | undefined | false)} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  put(element, ...children);
}

/** @param {string} text is told by a screen reader when it has a moment */
export function say(text) {
  const polite = document.getElementById("polite");
  if (polite && polite.textContent !== text) polite.textContent = text;
}
