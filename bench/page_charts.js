// Draw a night with the page's own charts ("night"), or the same number of points of nothing with
// uPlot alone ("empty"): as many charts, as high, with the same axes. Milliseconds of each time:
// `drawn`, until all is drawn; `shown`, until the frame behind that.
async ([parts, way, epochs, times]) => {
  const HEIGHTS = [190, 112, 92, 98];
  const NAMES = [["Deep", "Light", "REM", "Awake"], null, null, null];
  const { nightCharts } = await import(`${parts}/js/chart.js`);
  const { addEpochs, addStages, blank } = await import(`${parts}/js/night.js`);
  const { default: uPlot } = await import(`${parts}/vendor/uplot.js`);
  const start = Date.parse("2026-03-01T22:00:00Z") / 1000;
  const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
  const holder = document.createElement("div");
  document.querySelector("main").replaceChildren(holder);
  await document.fonts.ready;

  function night() {
    const stages = ["wake", "light", "deep", "light", "rem"];
    const moments = Array.from({ length: epochs }, (_, n) => new Date(1000 * (start + 30 * n)).toISOString());
    const made = addEpochs(blank(start, epochs), moments.map((at, n) => ({ start: at, in_bed: true, features: {
      hr_mean: 58 + 6 * Math.sin(n / 40) + (n * 7919 % 13) / 4, rr_mean: 14 + (n * 104729 % 11) / 5,
      move_frac: (n * 31 % 97) / 400,
    } })));
    return addStages(made, moments.map((at, n) => ({ start: at, stage: stages[Math.floor(n / 7) % stages.length] })));
  }

  function page() {
    const made = night();
    const leave = new AbortController();
    return new Promise((resolve) => {
      const watch = new PerformanceObserver((list) => {
        const [{ startTime, duration }] = list.getEntriesByName("noctis-night-drawn");
        watch.disconnect();
        resolve({ begun: startTime, drawn: duration, leave: () => leave.abort() });
      });
      watch.observe({ type: "measure" });
      holder.append(nightCharts(() => made, { zone: "UTC", signal: leave.signal }).element);
    });
  }

  async function empty() {
    const { times: at, heart: nothing } = blank(start, epochs);
    const width = holder.clientWidth;
    const begun = performance.now();
    const axis = { font: "500 11px Inter, system-ui, sans-serif", ticks: { show: false } };
    const plots = HEIGHTS.map((height, n) => new uPlot({
      width, height, legend: { show: false }, padding: [6, 18, 0, 0],
      scales: { x: { time: false }, y: { range: [0, 3] } },
      series: [{}, {}],
      axes: [{ ...axis, show: n === HEIGHTS.length - 1, size: 26 },
        { ...axis, size: 52, splits: () => [0, 1, 2, 3], values: (_u, values) => NAMES[n] ?? values }],
    }, [at, nothing], holder));
    const drawn = await new Promise((resolve) => {
      queueMicrotask(() => resolve(performance.now() - begun));
    });
    return { begun, drawn, leave: () => plots.forEach((plot) => plot.destroy()) };
  }

  const found = [];
  for (let turn = 0; turn < times; turn += 1) {
    const { begun, drawn, leave } = await (way === "night" ? page() : empty());
    await frame();
    await frame();
    found.push({ drawn, shown: performance.now() - begun });
    leave();
    holder.replaceChildren();
    await frame();
  }
  return found;
}
