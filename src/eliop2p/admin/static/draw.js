// What is drawn: the chart of bytes, the map of the cluster, and small helpers.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SVG = "http://www.w3.org/2000/svg";

export const SOURCES = ["memory", "disk", "peer", "origin", "relay"];
export const NAMES = {
  memory: "memory", disk: "disk", peer: "other nodes", origin: "the store", relay: "relayed",
};

export function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) { count /= 1024; unit += 1; }
  const digits = unit && count < 100 ? 1 : 0;
  return `${count.toFixed(digits)} ${UNITS[unit]}`;
}

export function moment(seconds) {
  if (seconds === null || seconds === undefined) { return "-"; }
  if (seconds < 1) { return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms`; }
  return `${seconds.toFixed(2)} s`;
}

export function duration(seconds) {
  const parts = [];
  let left = Math.floor(seconds);
  for (const [length, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (left >= length || parts.length === 1) { parts.push(`${Math.floor(left / length)} ${unit}`); }
    left %= length;
    if (parts.length === 2) { break; }
  }
  return parts.join(" ") || "0 s";
}

export function element(tag, classes, text, namespace) {
  const made = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  if (classes) { made.setAttribute("class", classes); }
  if (text !== undefined) { made.textContent = text; }
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Bytes per second by source, one on top of the other.
export class Chart {
  constructor(place) {
    this.place = place;
    this.samples = [];
    this.plot = null;
    new ResizeObserver(() => this.resize()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  take(samples) {
    this.samples = samples.slice(-600);
    this.show();
  }

  add(sample) {
    const last = this.samples[this.samples.length - 1];
    if (last && sample[0] <= last[0]) { return; }
    this.samples.push(sample);
    if (this.samples.length > 600) { this.samples.shift(); }
    this.show();
  }

  // The rates of the last step, by source.
  now() {
    return this.rates(this.samples.length - 1);
  }

  rates(index) {
    const [before, after] = [this.samples[index - 1], this.samples[index]];
    if (!before) { return SOURCES.map(() => 0); }
    const seconds = Math.max(after[0] - before[0], 0.001);
    return SOURCES.map((_, source) => Math.max(0, (after[source + 1] - before[source + 1]) / seconds));
  }

  data() {
    const times = [];
    const sums = SOURCES.map(() => []);
    for (let index = 1; index < this.samples.length; index += 1) {
      times.push(this.samples[index][0]);
      let sum = 0;
      this.rates(index).forEach((rate, source) => { sum += rate; sums[source].push(sum); });
    }
    return [times, ...sums.reverse()];
  }

  show() {
    if (!this.plot) { this.rebuild(); } else { this.plot.setData(this.data()); }
  }

  resize() {
    if (this.plot) { this.plot.setSize({ width: this.place.clientWidth, height: 220 }); }
  }

  rebuild() {
    if (this.samples.length < 2 || !this.place.clientWidth) { return; }
    if (this.plot) { this.plot.destroy(); }
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    const series = [...SOURCES].reverse().map((name) => ({
      label: NAMES[name], stroke: colour(name), fill: colour(name), width: 1, points: { show: false },
    }));
    this.plot = new uPlot({
      width: this.place.clientWidth, height: 220,
      legend: { show: false }, cursor: { show: false },
      scales: { y: { range: (_, __, high) => [0, Math.max(1024, high * 1.08)] } },
      series: [{}, ...series],
      axes: [axis, { ...axis, size: 78, values: (_, ticks) => ticks.map((tick) => `${bytes(tick)}/s`),
        incrs: [...Array(12)].flatMap((_, power) => [1, 2, 5].map((step) => step * 1024 * 4 ** power)) }],
    }, this.data(), this.place);
  }
}

function draw(parent, tag, fields, classes, text) {
  const made = element(tag, classes, text, SVG);
  for (const [name, value] of Object.entries(fields)) { made.setAttribute(name, value); }
  parent.append(made);
  return made;
}

// Node boxes in their zones, the store above them, and who feeds this node.
export function map(place, members, me, feeds, standing, moving) {
  const width = Math.max(300, place.clientWidth);
  const zones = new Map();
  for (const member of members) {
    const zone = member.zone || "no zone";
    zones.set(zone, [...(zones.get(zone) || []), member]);
  }
  const [box, high, gap] = [Math.min(128, (width - 44) / 2), 38, 12];
  const across = Math.max(1, Math.floor((width - 2 * gap) / (box + gap)));
  const svg = element("svg", "", undefined, SVG);
  svg.setAttribute("role", "img");
  const lines = draw(svg, "g", {});
  const places = new Map([["the store", { x: width / 2, y: 6 + high / 2 }]]);
  let y = high + 44;
  for (const [zone, nodes] of [...zones].sort()) {
    const rows = Math.ceil(nodes.length / across);
    const tall = rows * (high + gap) + gap + 14;
    draw(svg, "rect", { x: 1, y, width: width - 2, height: tall, rx: 8 }, "zone");
    draw(svg, "text", { x: 10, y: y + 15 }, "zone-name", zone);
    nodes.forEach((node, index) => {
      const row = Math.floor(index / across);
      const inRow = Math.min(across, nodes.length - row * across);
      const left = (width - inRow * (box + gap) + gap) / 2 + (index % across) * (box + gap);
      places.set(node.node_id, { x: left + box / 2, y: y + 22 + row * (high + gap) + high / 2 });
    });
    y += tall + gap;
  }
  const most = Math.max(1, ...Object.values(feeds));
  for (const [name, count] of Object.entries(feeds)) {
    const [from, to] = [places.get(name), places.get(me)];
    if (!from || !to) { continue; }
    const bend = Math.min(from.y, to.y) - (from.y === to.y ? 26 + Math.abs(from.x - to.x) / 12 : 0);
    const middle = from.y === to.y ? bend : (from.y + to.y) / 2;
    draw(lines, "path", {
      d: `M${from.x},${from.y} C${from.x},${middle} ${to.x},${middle} ${to.x},${to.y}`,
      "stroke-width": (1.5 + 5 * Math.sqrt(count / most)).toFixed(1),
    }, `${name === "the store" ? "origin" : "peer"}${moving ? " moving" : ""}`);
  }
  const words = [];
  for (const [name, { x, y: middle }] of places) {
    const state = name === "the store" ? "store" : name === me ? "me" : standing(name);
    const group = draw(svg, "g", {}, state);
    draw(group, "rect", { x: x - box / 2, y: middle - high / 2, width: box, height: high, rx: 7 }, "box");
    const shown = name.length > 17 ? `${name.slice(0, 16)}…` : name;
    draw(group, "text", { x, y: middle - 2, "text-anchor": "middle" }, "", shown);
    const note = name === me ? "this node" : feeds[name] ? `gave ${bytes(feeds[name])}` : name === "the store" ? "not needed" : state || "alive";
    draw(group, "text", { x, y: middle + 12, "text-anchor": "middle" }, "sub", note);
    words.push(`${name}: ${note}`);
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${y}`);
  svg.setAttribute("aria-label", `The cluster. ${words.join("; ")}`);
  place.replaceChildren(svg);
}
