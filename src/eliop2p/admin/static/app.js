// Follows the node's events and shows them.

import { Chart, NAMES, SOURCES, bytes, duration, element, map, moment } from "/dashboard/draw.js";

const at = (id) => document.getElementById(id);
const chart = new Chart(at("chart"));
const LETTERS = { m: "memory", d: "disk", p: "peer", o: "origin", r: "relay" };
let token = sessionStorage.getItem("token") || "";
let pause = 1000;

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});
const set = (id, text) => { const place = at(id); if (place.textContent !== text) { place.textContent = text; } };

function state(text, kind) {
  set("state", text);
  at("state").className = kind;
}

// Rows of cells: texts, or elements, or [text, class].
function rows(id, list, none) {
  const made = list.map((cells) => {
    const row = element("tr");
    for (const cell of cells) {
      const [content, classes] = Array.isArray(cell) ? cell : [cell, ""];
      const data = element("td", classes);
      data.append(content);
      if (classes === "long") { data.title = content; }
      row.append(data);
    }
    return row;
  });
  if (!made.length) {
    const row = element("tr");
    const cell = element("td", "none", none);
    cell.colSpan = 9;
    row.append(cell);
    made.push(row);
  }
  const held = document.activeElement && at(id).contains(document.activeElement)
    ? document.activeElement.dataset.name : undefined;
  at(id).replaceChildren(...made);
  if (held) { const again = at(id).querySelector(`[data-name="${held}"]`); if (again) { again.focus(); } }
}

function figures(frame) {
  const { served, members, control_plane: plane } = frame.status;
  const total = SOURCES.reduce((sum, name) => sum + (served[name] || 0), 0);
  const now = chart.now();
  const rate = now.reduce((sum, each) => sum + each, 0);
  set("rate", `${bytes(rate)}/s`);
  set("rate-of", `${bytes(total)} since the start`);
  set("latency", moment(frame.latency.first_byte.p50));
  set("latency-of", frame.latency.requests ? `p99 ${moment(frame.latency.first_byte.p99)}, of the last ${frame.latency.requests} requests` : "no requests yet");
  set("members", `${members.length} ${members.length === 1 ? "node" : "nodes"}`);
  set("members-of", plane.endpoint ? `control plane: ${plane.state}` : "without a control plane");
  at("legend").replaceChildren(...SOURCES.map((name, index) => {
    const item = element("li", name);
    item.append(element("i"), `${NAMES[name]} ${bytes(now[index])}/s, ${bytes(served[name] || 0)} in all`);
    return item;
  }));
}

const perByte = (tally) => (tally.served ? (tally.store / tally.served).toFixed(3) : "-");

// What the whole cluster read of its store, as far as nodes have told.
function cluster(shown) {
  const { covered, members, total, recent } = shown;
  const who = `${covered} of ${members} ${members === 1 ? "node" : "nodes"}`;
  set("amplification", perByte(total));
  set("amplification-of", total.served
    ? `the cluster: ${bytes(total.store)} of the store for ${bytes(total.served)} served by ${who}; ${recent.served ? `${perByte(recent)} in the last minute` : "nothing in the last minute"}`
    : `${who} counted: nothing served yet`);
  at("amplification-of").className = covered < members ? "small warn" : "small";
  set("nodes-of", covered > shown.nodes.length ? `The ${shown.nodes.length} that read most of the store, of ${who}.` : `${who}, those that read most of the store first.`);
  rows("nodes", shown.nodes.map(({ node_id: name, total: all, recent: late }) => [
    name, bytes(all.served), bytes(all.store), perByte(all),
    bytes(late.served), bytes(late.store), duration(all.seconds),
  ]), "no node has told yet");
}

function standing(peers) {
  const known = new Map(peers.map((peer) => [peer.node_id, peer]));
  return (name) => {
    const peer = known.get(name);
    if (!peer) { return ""; }
    return peer.banned_for > 0 ? "bad" : peer.failures > 0.5 ? "warn" : "";
  };
}

function distribution(shown) {
  if (!shown) { return; }
  const counts = {};
  for (const letter of shown.cells) { counts[LETTERS[letter]] = (counts[LETTERS[letter]] || 0) + 1; }
  const parts = Object.entries(counts).map(([name, count]) => `${count} from ${NAMES[name]}`);
  set("distribution-of", `${shown.object}, ${shown.running ? "being read" : "the last read"}: ${shown.cells.length + shown.left_out} chunks sent, ${parts.join(", ")}`);
  at("cells").replaceChildren(...[...shown.cells].map((letter, index) => {
    const cell = element("b", LETTERS[letter]);
    cell.title = `chunk ${shown.first + index}: ${NAMES[LETTERS[letter]]}`;
    return cell;
  }));
  const most = Math.max(1, ...Object.values(shown.feeds));
  at("feeds").replaceChildren(...Object.entries(shown.feeds).sort((a, b) => b[1] - a[1]).map(([name, count]) => {
    const item = element("li", name === "the store" ? "origin" : "peer");
    const bar = element("progress");
    bar.max = most; bar.value = count;
    bar.setAttribute("aria-label", `${name} gave ${bytes(count)}`);
    item.append(element("span", "", name), bar, element("span", "", bytes(count)));
    return item;
  }));
}

function tables(frame) {
  const { served, tiers } = frame.status;
  const total = SOURCES.reduce((sum, name) => sum + (served[name] || 0), 0);
  const ratio = (name) => (total ? `${((100 * (served[name] || 0)) / total).toFixed(1)} %` : "-");
  rows("tiers", [
    ...Object.entries(tiers).map(([name, tier]) => [
      name, ratio(name), `${bytes(tier.used)} of ${bytes(tier.capacity)}`, String(tier.chunks),
      tier.degraded ? [tier.degraded, "bad"] : ["ok", "good"],
    ]),
    ["other nodes", ratio("peer"), "", "", ""],
    ["the store", `${total ? ((100 * ((served.origin || 0) + (served.relay || 0))) / total).toFixed(1) : "-"} %`, "", "", ""],
  ], "");
  set("latency-over", `Of the last ${frame.latency.requests} requests of this node.`);
  rows("latencies", [["first byte", "first_byte"], ["last byte", "whole"]].map(([name, key]) => {
    const values = frame.latency[key];
    return [name, moment(values.p50), moment(values.p90), moment(values.p99)];
  }), "");
  rows("objects", frame.objects.map((each) => [
    [each.object, "long"], String(each.requests), bytes(each.bytes),
    `${((100 * each.cached) / Math.max(1, each.bytes)).toFixed(0)} %`,
  ]), "nothing read yet");
  rows("peers", frame.peers.map((peer) => [
    peer.node_id, peer.rate >= 1024 ? `${bytes(peer.rate)}/s` : peer.rate ? "very slow" : "-", peer.latency ? moment(peer.latency) : "-",
    peer.failures.toFixed(1), String(peer.in_flight),
    peer.banned_for > 0 ? [`not asked for ${duration(peer.banned_for)}`, "bad"]
      : peer.failures > 0.5 ? ["failed lately", "warn"] : ["ok", "good"],
  ]), "no other node has been asked yet");
  rows("recent", frame.recent.map((each) => {
    const button = element("button", "link", each.request_id);
    button.dataset.name = each.request_id;
    button.addEventListener("click", () => explain(each.request_id));
    const from = Object.keys(each.sources).map((name) => NAMES[name] || name).join(", ");
    return [button, [`${each.method} ${each.target}`, "long"],
      each.running ? "under way" : [String(each.status || each.error), each.status >= 500 || each.error ? "bad" : ""],
      each.cache || "-", from || "-", bytes(each.sent), moment(each.seconds)];
  }), "no requests yet");
}

function errors(list) {
  at("errors").className = list.length ? "plain" : "plain none";
  at("errors").replaceChildren(...(list.length ? list : [{ text: "Nothing.", when: null }]).map((each) => {
    const when = each.when === null ? "" : `${new Date(1000 * each.when).toLocaleTimeString()}  `;
    return element("li", "", `${when}${each.text}`);
  }));
}

async function explain(name) {
  const answer = await fetch(`/api/v1/explain/${encodeURIComponent(name)}`, { headers: headers() });
  const found = await answer.json();
  at("why").hidden = false;
  set("why-name", name);
  if (!answer.ok) {
    set("why-of", found.error);
    rows("chunks", [], "");
    return;
  }
  const asked = found.store.map((each) => `${each.status || "no answer"} in ${moment(each.seconds)}${each.request_id ? ` (a node that calls it ${each.request_id})` : ""}`).join(", ");
  set("why-of", `${found.method} ${found.target}; the store: ${found.auth}${asked ? `, ${asked}` : ""}${found.error ? `; ${found.error}` : ""}`);
  rows("chunks", found.chunks.map((chunk) => [
    String(chunk.index), `${chunk.source} ${chunk.peer}`.trim(), bytes(chunk.bytes), moment(chunk.waited),
    moment(chunk.queued), String(chunk.retries),
    bytes(chunk.steps.reduce((sum, step) => sum + step.discarded, 0)), chunk.reason,
  ]), "no chunks: the answer is the store's own");
  at("why").focus();
  at("why").scrollIntoView({ block: "nearest" });
}

function show(frame) {
  const { status } = frame;
  at("main").hidden = false;
  set("node", status.node_id);
  document.title = `${status.node_id} - ElioP2P`;
  set("about", `version ${status.version}, up ${duration(status.uptime)}`);
  const degraded = Object.values(status.tiers).some((tier) => tier.degraded);
  if (!status.ready) { state("starting", "warn"); } else if (degraded) { state("degraded", "warn"); } else { state("healthy", "good"); }
  if (frame.sample) { chart.add(frame.sample); }
  figures(frame);
  cluster(frame.cluster);
  const moving = Boolean(frame.running && frame.running.running);
  map(at("map"), status.members, status.node_id, frame.feeds, standing(frame.peers), moving);
  distribution(frame.running);
  tables(frame);
  errors(frame.errors);
}

function take(text) {
  const name = /^event: (.*)$/m.exec(text);
  const data = /^data: (.*)$/m.exec(text);
  if (!name || !data) { return; }
  const value = JSON.parse(data[1]);
  if (name[1] === "past") { at("main").hidden = false; chart.take(value.samples); } else { show(value); }
}

// Not EventSource: that cannot show the token.
async function follow() {
  const answer = await fetch("/api/v1/events", { headers: headers(), cache: "no-store" });
  if (answer.status === 401 || answer.status === 403) {
    at("ask").hidden = false;
    at("main").hidden = true;
    state(answer.status === 401 ? "a token is needed" : "this is not the token", "warn");
    at("token").focus();
    return false;
  }
  if (!answer.ok) { throw new Error(await answer.text()); }
  at("ask").hidden = true;
  pause = 1000;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) { throw new Error("the node has ended the connection"); }
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    events.forEach(take);
  }
}

async function run() {
  for (;;) {
    try {
      if (!(await follow())) { return; }
    } catch (error) {
      state(`no connection (${error.message}); trying again`, "bad");
    }
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    pause = Math.min(2 * pause, 10000);
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  sessionStorage.setItem("token", token);
  run();
});

run();
