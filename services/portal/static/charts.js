// Lines of the last minutes or hours, as the services kept them. Told apart by dashes and names.
"use strict";

const EVERY = 10000;
const HEIGHT = 170;
const COLOURS = ["--line-a", "--line-b", "--line-c"];
const DASHES = [[], [7, 4], [2, 3]];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// each line's name stands at its end; names that would meet are moved apart
function labels(names) {
  return (plot) => {
    const { ctx } = plot;
    const scale = devicePixelRatio;
    const ends = names
      .map((name, i) => ({ name, i, value: plot.data[i + 1].findLast((one) => one !== null) }))
      .filter((one) => one.value !== undefined)
      .map((one) => ({ ...one, y: plot.valToPos(one.value, "y", true) }))
      .sort((a, b) => b.y - a.y || b.i - a.i);
    const gap = 15 * scale;
    const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
    let below = plot.bbox.top + plot.bbox.height + gap / 2;
    ctx.save();
    ctx.font = `600 ${12 * scale}px "Hanken Grotesk", sans-serif`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    for (const one of ends) {
      below = Math.min(one.y, below - gap);
      ctx.fillStyle = colour(COLOURS[one.i % COLOURS.length]);
      ctx.fillText(`${one.name}  ${number.format(one.value)}`, plot.bbox.left + plot.bbox.width + 10 * scale, below);
    }
    ctx.restore();
  };
}

function options(chart) {
  const zone = { timeZone: chart.box.dataset.zone, hour: "2-digit", minute: "2-digit", hour12: false };
  const clock = new Intl.DateTimeFormat("sv", zone);
  const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
  const axis = { stroke: colour("--ink-3"), ticks: { show: false }, font: '12px "Hanken Grotesk", sans-serif' };
  return {
    width: chart.box.clientWidth,
    height: HEIGHT,
    padding: [12, 128, 0, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { range: () => [chart.data[0][0], chart.data[0].at(-1)] }, y: { range: (_u, _low, high) => [0, Math.max(4, Math.ceil(high * 1.2))] } },
    axes: [
      { ...axis, size: 30, grid: { show: false }, values: (_u, ticks) => ticks.map((at) => clock.format(new Date(at * 1000))), space: 90, incrs: [60, 120, 300, 600, 1200, 3600, 7200, 14400, 21600] },
      { ...axis, grid: { stroke: colour("--line"), width: 1 }, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000], values: (_u, ticks) => ticks.map((one) => number.format(one)) },
    ],
    series: [{}, ...chart.names.map((name, i) => ({ label: name, stroke: colour(COLOURS[i % COLOURS.length]), dash: DASHES[i % DASHES.length], width: 2.5, points: { show: (_u, side) => chart.data[side].filter((one) => one !== null).length < 3, size: 7, fill: colour(COLOURS[i % COLOURS.length]) }, spanGaps: false }))],
    hooks: { draw: [labels(chart.names)] },
  };
}

const charts = [...document.querySelectorAll("[data-chart]")].map((box) => ({ box, what: box.dataset.chart, plot: null, data: null, names: [] }));

function draw(chart, found) {
  const lines = Object.entries(found.lines[chart.what]);
  const names = lines.map(([service]) => found.names[service]);
  chart.data = [found.at, ...lines.map(([, line]) => line)];
  const known = lines.some(([, line]) => line.some((one) => one !== null));
  // who has come or gone changes what is drawn, not only where
  if (chart.plot && (!known || names.join() !== chart.names.join())) {
    chart.plot.destroy();
    chart.plot = null;
  }
  chart.names = names;
  if (chart.plot) chart.plot.setData(chart.data);
  else if (known) {
    chart.box.replaceChildren();
    chart.plot = new uPlot(options(chart), chart.data, chart.box);
  } else chart.box.textContent = chart.box.dataset.none;
}

async function look() {
  if (document.hidden || document.documentElement.hasAttribute("data-paused")) return;
  try {
    const answer = await fetch(charts[0].box.dataset.source, { headers: { "Stafett-Poll": "1" } });
    if (answer.ok && answer.headers.get("content-type").startsWith("application/json")) {
      const found = await answer.json();
      for (const chart of charts) draw(chart, found);
    }
  } catch {
    // the portal is away; what was drawn stays until it is back
  }
}

if (charts.length) {
  document.fonts.ready.then(look);
  setInterval(look, EVERY);
  addEventListener("resize", () => charts.forEach((chart) => chart.plot?.setSize({ width: chart.box.clientWidth, height: HEIGHT })));
}
