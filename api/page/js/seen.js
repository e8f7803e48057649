// What is looked at again by itself, as long as somebody sees it.

/**
 * Act every so often while the document is seen, and at once when it is seen again; never twice
 * at a time.
 * @param {() => Promise<void>} act which handles its own errors
 * @param {{every: number, signal: AbortSignal, page?: Document}} options `every`: milliseconds
 *   between the end of one and the next
 */
export function whileSeen(act, { every, signal, page = document }) {
  let isActing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer = setTimeout(turn, every);
  async function turn() {
    clearTimeout(timer);
    if (isActing || page.hidden || signal.aborted) return;
    isActing = true;
    await act();
    isActing = false;
    if (!signal.aborted && !page.hidden) timer = setTimeout(turn, every);
  }
  page.addEventListener("visibilitychange", turn, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
}
