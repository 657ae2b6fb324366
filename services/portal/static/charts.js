// Lines of the last minutes: one sample every five seconds, kept in this page only.
"use strict";

const KEPT = 240;
const EVERY = 5000;
const COLOURS = ["--joiner", "--mover", "--leaver"];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(box, names) {
  const axis = { stroke: colour("--ink-3"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px Hanken Grotesk, sans-serif" };
  return {
    width: box.clientWidth,
    height: 130,
    cursor: { y: false, points: { size: 6 } },
    legend: { live: false },
    scales: { x: { range: (_u, _first, last) => [last - 300, last] }, y: { range: (_u, _low, high) => [0, Math.max(5, high * 1.15)] } },
    axes: [{ ...axis, values: (_u, ticks) => ticks.map((at) => new Date(at * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })), space: 90 }, { ...axis, size: 44 }],
    series: [{ label: "" }, ...names.map((name, i) => ({ label: name, stroke: colour(COLOURS[i % COLOURS.length]), width: 2, points: { show: true, size: 4 }, spanGaps: false }))],
  };
}

const charts = [...document.querySelectorAll("[data-chart]")].map((box) => ({ box, what: box.dataset.chart, plot: null, data: null }));

function add(chart, sample) {
  const names = Object.keys(sample[chart.what]);
  chart.data ??= [[], ...names.map(() => [])];
  chart.data[0].push(sample.at);
  names.forEach((name, i) => chart.data[i + 1].push(sample[chart.what][name]));
  for (const line of chart.data) if (line.length > KEPT) line.shift();
  if (chart.plot) chart.plot.setData(chart.data);
  else chart.plot = new uPlot(options(chart.box, names), chart.data, chart.box);
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(charts[0].box.dataset.source, { headers: { "Stafett-Poll": "1" } });
    if (answer.ok && answer.headers.get("content-type").startsWith("application/json")) {
      const sample = await answer.json();
      for (const chart of charts) add(chart, sample);
    }
  } catch {
    // the portal is away; the lines have a gap
  }
}

if (charts.length) {
  look();
  setInterval(look, EVERY);
  addEventListener("resize", () => charts.forEach((chart) => chart.plot?.setSize({ width: chart.box.clientWidth, height: 130 })));
}
