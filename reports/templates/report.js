// SPDX-License-Identifier: Apache-2.0
// Draws the page's charts from the JSON in #data. All latencies are nanoseconds there, all times seconds.
// When done it writes data-charts="drawn" and data-points=<drawn points> on the root element, or data-error.
"use strict";
(() => {
  const root = document.documentElement;
  window.addEventListener("error", (event) => { root.dataset.error = event.message; });

  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const MARK_NAMES = { p50: "p50", p90: "p90", p99: "p99", p99_9: "p99.9", max: "max" };

  // --- Numbers -----------------------------------------------------------------------------------------------------

  const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

  function latency(ns, digits = 3) {
    const [factor, name] = UNITS.find(([f]) => ns >= f * 0.9995) || UNITS[3];
    return `${Number((ns / factor).toPrecision(digits))}\u00a0${name}`;
  }

  function moment(seconds) {
    return seconds ? latency(seconds * 1e9, 4) : "0";
  }

  function percent(share) {
    return `${Number((share * 100).toPrecision(2))}\u00a0%`;
  }

  // Ticks of a log axis: 1, 2, 5 of each decade when few decades are shown, round numbers when less than one is.
  function logTicks(low, high) {
    if (high / low < 6) {
      const rough = (high - low) / 6;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
      const ticks = [];
      for (let k = Math.ceil(low / step); k * step <= high; k += 1) ticks.push(k * step);
      return ticks;
    }
    const ticks = [];
    const factors = high / low > 1e4 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
      for (const factor of factors) ticks.push(factor * 10 ** power);
    }
    return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  }

  // --- SVG ---------------------------------------------------------------------------------------------------------

  function element(name, attributes, parent, text) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }

  function canvas(container, height) {
    const width = Math.max(container.clientWidth, 240);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    container.replaceChildren(svg);
    return [svg, width];
  }

  function logScale(low, high, start, end) {
    const span = Math.log(high / low);
    return (value) => start + ((end - start) * Math.log(Math.max(value, low) / low)) / span;
  }

  // Vertical grid lines and their labels below, as many as fit without touching.
  function latencyAxis(svg, x, low, high, top, bottom) {
    let free = -Infinity;
    const ticks = logTicks(low, high);
    // As many digits as tell the ticks of a narrow range apart.
    const digits = [3, 4, 5, 6].find((d) => new Set(ticks.map((tick) => latency(tick, d))).size === ticks.length) || 7;
    for (const tick of ticks) {
      const at = x(tick);
      element("line", { class: "grid", x1: at, x2: at, y1: top, y2: bottom }, svg);
      const label = latency(tick, digits);
      const half = label.length * 3.4;
      const center = Math.max(at, half);
      if (center - half < free) continue;
      element("text", { x: center, y: bottom + 16, "text-anchor": "middle" }, svg, label);
      free = center + half + 8;
    }
  }

  // --- Overview: one row a series ----------------------------------------------------------------------------------

  function drawOverview(container, list) {
    const narrow = container.clientWidth < 560;
    const row = narrow ? 46 : 34;
    const top = 20;
    const bottom = top + row * list.length;
    const [svg, width] = canvas(container, bottom + 24);
    const left = narrow ? 8 : 12 + 7.2 * Math.max(...list.map((series) => series.name.length));
    const low = Math.min(...list.map((series) => Math.max(series.marks.min, series.tick / 2)));
    const high = Math.max(...list.map((series) => Math.max(series.marks.max, series.tick)));
    const x = logScale(low / 1.15, high * 1.15, left, width - 12);
    latencyAxis(svg, x, low / 1.15, high * 1.15, top - 4, bottom);
    list.forEach((series, index) => {
      const y = top + row * index + (narrow ? 30 : 20);
      const marks = series.marks;
      const name = { class: "strong", x: 0, y: narrow ? y - 14 : y + 4 };
      element("text", name, svg, series.name);
      element("line", { class: "range", x1: x(marks.min), x2: x(marks.max), y1: y, y2: y }, svg);
      element("line", { class: "body", x1: x(marks.p50), x2: x(marks.p99), y1: y, y2: y }, svg);
      element("circle", { class: "point", cx: x(marks.p50), cy: y, r: 4.5 }, svg);
      const label = { x: x(marks.p50), y: y - 9, "text-anchor": "middle" };
      if (!narrow) element("text", label, svg, latency(marks.p50));
      else element("text", { x: width, y: y - 14, "text-anchor": "end" }, svg, latency(marks.p50));
    });
    return list.length * 5;
  }

  // --- Distribution: histogram above, share of slower samples below, one latency axis -------------------------------

  function drawDistribution(container, series) {
    const height = 372;
    const [svg, width] = canvas(container, height);
    const left = 52;
    const right = width - 14;
    const low = series.columns[0][0];
    const high = series.columns[series.columns.length - 1][1];
    const pad = (high / low) ** 0.02;
    const x = logScale(low / pad, high * pad, left, right);
    const marks = placeMarks(series, x, width);
    const top = 14 + 15 * marks.rows;
    const middle = 200;
    const tail = [222, height - 40];
    latencyAxis(svg, x, low / pad, high * pad, top, tail[1]);
    const drawn = drawColumns(svg, series, x, [left, right], [top, middle])
      + drawTail(svg, series, x, [left, right], tail);
    drawMarks(svg, series, marks.labels, x, [top, tail[1]]);
    element("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, svg, "latency (log scale)");
    return drawn;
  }

  function drawColumns(svg, series, x, [left, right], [top, bottom]) {
    const highest = Math.max(...series.columns.map((column) => column[2]));
    const y = (samples) => bottom - ((bottom - top) * samples) / highest;
    const full = highest / series.count;
    const step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((s) => full / s <= 4) || 0.5;
    for (let share = 0; share <= full; share += step) {
      const at = y(share * series.count);
      element("line", { class: share ? "grid" : "axis", x1: left, x2: right, y1: at, y2: at }, svg);
      element("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, svg, percent(share));
    }
    let drawn = 0;
    for (const [low, high, samples] of series.columns) {
      if (samples <= 0) continue;
      const gap = Math.min(1, (x(high) - x(low)) / 4);
      // A column of a few samples must stay visible beside one of thousands.
      const size = Math.max(bottom - y(samples), 1);
      const bar = element("rect", {
        class: "bar", x: x(low), y: bottom - size, width: x(high) - x(low) - gap, height: size,
      }, svg);
      element("title", {}, bar, `${latency(low, 4)} to ${latency(high, 4)}: ${Math.round(samples)} samples`);
      drawn += 1;
    }
    return drawn;
  }

  function drawTail(svg, series, x, [left, right], [top, bottom]) {
    const decades = Math.max(1, Math.ceil(Math.log10(series.count)));
    const y = (share) => top + ((bottom - top) * -Math.log10(share)) / decades;
    for (let power = 0; power <= decades; power += 1) {
      const at = y(10 ** -power);
      element("line", { class: power === decades ? "axis" : "grid", x1: left, x2: right, y1: at, y2: at }, svg);
      element("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, svg, percent(10 ** -power));
    }
    let path = "";
    series.tail.forEach(([ns, share], index) => {
      path += index ? `H${x(ns).toFixed(1)}V${y(share).toFixed(1)}` : `M${x(ns).toFixed(1)} ${y(share).toFixed(1)}`;
    });
    element("path", { class: "tail", d: path }, svg);
    for (const key of Object.keys(MARK_NAMES)) {
      const ns = series.marks[key];
      // On the line, not at the nominal share: many samples may have taken exactly as long as the percentile.
      const reached = series.tail.filter((point) => point[0] <= ns * (1 + 1e-9));
      const share = reached.length ? reached[reached.length - 1][1] : 1;
      element("circle", { class: "mark-dot", cx: x(ns), cy: y(share), r: 3 }, svg);
    }
    return series.tail.length;
  }

  // Labels of the percentiles over the plot, each in the lowest row where it touches no other.
  function placeMarks(series, x, width) {
    const rows = [];
    const labels = Object.entries(MARK_NAMES).map(([key, name]) => {
      const text = `${name} ${latency(series.marks[key])}`;
      const half = text.length * 3.55;
      const at = x(series.marks[key]);
      const center = Math.min(Math.max(at, half), width - half);
      let row = rows.findIndex((end) => center - half > end + 8);
      if (row < 0) row = rows.length;
      rows[row] = center + half;
      return { at, center, row, name, value: latency(series.marks[key]) };
    });
    return { labels, rows: rows.length };
  }

  function drawMarks(svg, series, labels, x, [top, bottom]) {
    for (const { at, row } of labels) {
      element("line", { class: "mark", x1: at, x2: at, y1: top - 5 - 15 * row, y2: bottom }, svg);
    }
    for (const { center, row, name, value } of labels) { // after all lines: none runs through a label
      const text = element("text", { x: center, y: top - 8 - 15 * row, "text-anchor": "middle", class: "label" }, svg);
      element("tspan", { class: "strong" }, text, name);
      element("tspan", {}, text, ` ${value}`);
    }
  }

  // --- Timeline ----------------------------------------------------------------------------------------------------

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // dygraphs wants one row a time, with [low, value, high] for each line; a null leaves a line out of a row.
  function timelineRows(series) {
    const rows = series.timeline.map(([t, low, mid, high]) => [t, [low, mid, high], null]);
    for (const [t, ns] of series.outliers) rows.push([t, null, [ns, ns, ns]]);
    return rows.sort((a, b) => a[0] - b[0]);
  }

  function drawTimeline(container, series) {
    const values = series.timeline.flatMap((point) => [point[1], point[3]])
      .concat(series.outliers.map((point) => point[1]));
    const low = Math.min(...values) / 1.15;
    const high = Math.max(...values) * 1.15;
    container.replaceChildren();
    const rows = timelineRows(series);
    const graph = new Dygraph(container, rows, {
      labels: ["t", "median", "slowest samples"],
      customBars: true, logscale: true, connectSeparatedPoints: true, animatedZooms: false,
      valueRange: [low, high], xRangePad: 4, fillAlpha: 0.22, strokeWidth: 1.5,
      colors: [colour("--accent"), colour("--dot")],
      gridLineColor: colour("--grid"), axisLineColor: colour("--line"), rightGap: 14,
      series: { "slowest samples": { strokeWidth: 0, drawPoints: true, pointSize: 2.5, highlightCircleSize: 4 } },
      xlabel: "time since the first counted sample", xLabelHeight: 18,
      legend: "follow",
      axes: {
        x: { axisLabelFormatter: moment, valueFormatter: moment, drawGrid: false },
        y: {
          axisLabelWidth: 46, valueFormatter: (ns) => latency(ns, 4),
          ticker: () => sparse(logTicks(low, high)).map((v) => ({ v, label: latency(v) })),
        },
      },
    });
    return rows.filter(([t, band, dot]) => isInside(graph, t, (band || dot)[1])).length;
  }

  // Whether a point came to lie on the plot: only those count as drawn.
  function isInside(graph, t, ns) {
    const [x, y] = graph.toDomCoords(t, ns);
    const area = graph.getArea();
    return x >= area.x && x <= area.x + area.w && y >= area.y && y <= area.y + area.h;
  }

  // A short axis has room for about seven labels.
  function sparse(ticks) {
    const every = Math.ceil(ticks.length / 7);
    return ticks.filter((_, index) => index % every === 0);
  }

  // --- All -----------------------------------------------------------------------------------------------------------

  function drawAll() {
    let points = 0;
    const overview = document.getElementById("overview");
    if (overview && data.series.length) points += mark(overview, drawOverview(overview, data.series));
    for (const node of document.querySelectorAll(".distribution")) {
      points += mark(node, drawDistribution(node, data.series[node.dataset.series]));
    }
    for (const node of document.querySelectorAll(".timeline")) {
      points += mark(node, drawTimeline(node, data.series[node.dataset.series]));
    }
    root.dataset.points = points;
    root.dataset.charts = "drawn";
  }

  function mark(node, points) {
    node.dataset.points = points;
    return points;
  }

  // Of a console the end matters most.
  const log = document.querySelector(".console");
  if (log) log.scrollTop = log.scrollHeight;

  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); }
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.addEventListener("beforeprint", drawAll);
  window.addEventListener("afterprint", drawAll);
  try {
    drawAll();
  } catch (error) {
    root.dataset.error = String(error);
    throw error;
  }
})();
