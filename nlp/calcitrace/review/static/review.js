"use strict";
// The review page. Everything of a report is put in as text, never as markup; the server forbids anything else (CSP).
const $ = (id) => document.getElementById(id);
const SECRET = document.querySelector("meta[name=calcitrace]").content;
const state = { report: null, last: null, mention: -1, decision: "", busy: false, shown: 0, key: "", role: "", show: "after", other: -1 };

function make(tag, text, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}
const words = (name) => name.replaceAll("_", " ");
const newKey = () => crypto.randomUUID();
const listed = (...parts) => parts.filter(Boolean).join(" · ");

async function ask(path, body) {
  const options = { headers: { "X-Calcitrace": SECRET }, cache: "no-store" };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  if (body) options.headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The review server does not answer, so nothing more is saved. What you decided before is safe: start the review again and open the new link.");
  }
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { status: answer.status });
  return said;
}

function tell(message) {
  $("message").textContent = message;
  $("message").hidden = !message;
}

// One thing at a time: keys pressed while something is saved are not lost in between, they do nothing.
async function once(work) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (error) {
    if (error.status === 409) {
      await showNext().catch(() => {});
      tell(`Not saved: ${error.message}. This may have been done in another window.`);
    } else tell(error.message);
  } finally {
    state.busy = false;
  }
}

async function showNext() {
  show(await ask("/api/next"));
}

function show({ report, last, progress }) {
  tell("");
  Object.assign(state, { report, last, mention: -1, other: -1, shown: performance.now(), key: newKey() });
  showProgress(progress);
  showLast();
  clearForm();
  $("decide").hidden = !report;
  if (!report) return showDone(progress);
  $("title").textContent = `Report ${report.report_id}`;
  $("about").textContent = listed(words(report.modality), words(report.body_part), report.study_date, report.patient_id && `patient ${report.patient_id}`, report.sex, report.age);
  showText($("text"), report);
  $("text").scrollTop = 0;
  document.querySelector("main").scrollTop = 0;
  $("mention").textContent = report.mentions.length ? `${report.mentions.length} mentions; j and k, or the pointer, tell rule and cue` : "No mention of a finding";
  showTimeline();
  showOpinions(report.opinions);
  $("title").focus({ preventScroll: true });
}

function showDone(progress) {
  $("title").textContent = "All done";
  $("about").textContent = "";
  $("text").replaceChildren(make("p", state.role === "adjudicator" ? "Nothing is left on which the readers differ." : `You have decided all ${progress.done} reports of your queue. You can close this page and stop the program.`, { class: "done" }));
  $("mention").textContent = "";
  $("beside").hidden = true;
  $("title").focus();
}

function showProgress(p) {
  $("bar").max = Math.max(p.total, 1);
  $("bar").value = p.done;
  const pace = p.pace === null ? "" : `${p.pace < 10 ? p.pace.toFixed(1) : Math.round(p.pace)} s a report`;
  $("pace").textContent = listed(`${p.done} of ${p.total}`, p.today && `${p.today} today`, pace, p.left_seconds && `${duration(p.left_seconds)} left`, p.learned);
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function showLast() {
  $("last").hidden = !state.last;
  if (!state.last) return;
  $("last-said").textContent = `Saved: ${state.last.report_id}, ${state.last.decision}`;
  $("reasons-open").hidden = state.show === "never";
}

// The text

function showText(place, report, live = true) {
  const parts = report.pieces.map((piece) => {
    let part = document.createTextNode(piece.t);
    if (piece.m) {
      part = make("mark", piece.t, { class: report.mentions[piece.m[0]].assertion });
      if (live) {
        part.dataset.m = piece.m[0];
        part.addEventListener("mouseenter", () => select(piece.m[0], false));
      } else part.title = told(report.mentions[piece.m[0]]);
    }
    if (piece.c && live) {
      part = make("span", "", { class: "cue" }, part);
      part.dataset.c = piece.c.join(" ");
    }
    return piece.h ? make("b", "", {}, part) : part;
  });
  place.replaceChildren(...parts);
  if (report.cut) place.append(make("p", "The text goes on; only its beginning is shown.", { class: "soft" }));
}

const told = (m) => listed(`${m.finding}: ${m.assertion}`, m.change, m.where, m.size);

function select(number, scroll = true) {
  const mentions = state.report ? state.report.mentions : [];
  if (!mentions.length) return;
  state.mention = (number + mentions.length) % mentions.length;
  const m = mentions[state.mention];
  for (const part of $("text").querySelectorAll("mark, .cue")) {
    const cues = (part.dataset.c || "").split(" ");
    part.classList.toggle("active", part.dataset.m === String(state.mention) || cues.includes(String(state.mention)));
  }
  const cues = m.cues.length ? ` because of ${m.cues.map((c) => `"${c.text}" (${c.rule})`).join(", ")}` : "";
  $("mention").replaceChildren(make("b", m.finding), `: ${listed(m.assertion, m.change, m.where, m.size)}${cues}. Section ${m.section}, rule `, make("code", m.rule));
  const first = $("text").querySelector("mark.active");
  if (scroll && first) first.scrollIntoView({ block: "nearest" });
}

// The patient's other reports

function showTimeline() {
  const { timeline, report_id } = state.report;
  $("beside").hidden = timeline.length < 2;
  $("other").hidden = $("other-title").hidden = true;
  const place = timeline.findIndex((r) => r.report_id === report_id);
  $("timeline").replaceChildren(...timeline.map((r, k) => {
    const name = listed(r.study_date, words(r.modality), words(r.body_part), apart(r, timeline[place]));
    if (k === place) return make("li", name, { class: "here" });
    const button = make("button", name, { type: "button", "aria-pressed": "false", title: r.report_id });
    button.addEventListener("click", () => showOther(k));
    return make("li", "", {}, button);
  }));
  state.other = place;
  if (timeline.length > 1) showOther(place > 0 ? place - 1 : 1);
}

// How long before or after this report another one is, as far as their dates tell.
function apart(other, own) {
  if (other === own) return "this report";
  if (!other.days.length || !own.days.length) return "order not known";
  const [[first, last], [from, to]] = [other.days, own.days];
  const order = last < from ? "earlier" : first > to ? "later" : "";
  if (first !== last || from !== to) return order || "order not known";
  if (!order) return "same day";
  const days = Math.abs(Math.round((Date.parse(first) - Date.parse(from)) / 864e5));
  return `${days < 60 ? `${days} days` : `${Math.round(days / 30.44)} months`} ${order}`;
}

async function showOther(k) {
  const { timeline, report_id } = state.report;
  if (!timeline[k]) return;
  if (timeline[k].report_id === report_id) return showOther(k + (k > state.other ? 1 : -1));
  state.other = k;
  try {
    const found = await ask(`/api/report?id=${encodeURIComponent(timeline[k].report_id)}`);
    if (!state.report || state.report.report_id !== report_id || state.other !== k) return;
    $("other-title").textContent = listed(`Report ${found.report_id}`, found.study_date);
    showText($("other"), found, false);
    $("other").scrollTop = 0;
    $("other").hidden = $("other-title").hidden = false;
    [...$("timeline").children].forEach((li, n) => li.firstElementChild && li.firstElementChild.setAttribute("aria-pressed", n === k));
  } catch (error) {
    tell(error.message);
  }
}

function showOpinions(opinions) {
  $("opinions").hidden = !opinions;
  if (!opinions) return;
  $("opinions").replaceChildren(...opinions.map((o, k) => make("span", `Reader ${k + 1}: ${listed(o.decision, ...[o.migration_type, o.laterality, o.tendon].filter((x) => x !== "none").map(words), o.flag && "flagged", o.comment && `"${o.comment}"`)}`)));
}

// The decision

function clearForm() {
  choose("");
  $("comment").value = "";
  $("flag").setAttribute("aria-pressed", "false");
  $("tendon").value = "none";
  for (const input of $("decide").querySelectorAll("input[type=radio]")) input.checked = input.value === "none";
}

function choose(decision) {
  state.decision = decision;
  $("details").hidden = decision !== "yes";
  for (const button of document.querySelectorAll("[data-decision]")) button.setAttribute("aria-pressed", String(button.dataset.decision === decision));
}

function decide(decision) {
  if (!state.report || state.busy) return;
  if (decision !== "yes") return save(decision);
  choose("yes");
  (document.querySelector("#types input:checked") || $("save")).focus();
}

function save(decision) {
  return once(async () => {
    const chosen = (name) => (document.querySelector(`input[name=${name}]:checked`) || { value: "none" }).value;
    await ask("/api/decide", {
      key: state.key, report_id: state.report.report_id, decision, migration_type: chosen("type"), laterality: chosen("side"), tendon: $("tendon").value,
      comment: $("comment").value, flag: $("flag").getAttribute("aria-pressed") === "true", seconds: (performance.now() - state.shown) / 1000,
    });
    await showNext();
  });
}

const undo = () => state.last && once(async () => show(await ask("/api/undo", { key: newKey(), id: state.last.id })));

// Reasons

const openReasons = () => once(async () => {
  const before = state.show === "before" && state.report;
  const report_id = before ? state.report.report_id : state.last && state.last.report_id;
  if (!report_id || state.show === "never") return;
  const found = before ? state.report.reasons : await ask(`/api/reasons?id=${encodeURIComponent(report_id)}`);
  const parts = [make("p", listed(`case status ${found.case_status}`, found.probability !== null && `probability ${found.probability.toFixed(3)}`, found.migration_type, found.site))];
  parts.push(make("p", found.reasons.length ? `Met of the case definition: ${found.reasons.join("; ")}` : "Nothing of the case definition is met."));
  if (found.contributions.length) {
    const rows = found.contributions.map((c) => make("tr", "", {}, make("td", c.adds, { class: "n" }), make("td", c.because), make("td", c.mentions)));
    parts.push(make("table", "", {}, make("thead", "", {}, make("tr", "", {}, make("th", "log odds", { scope: "col" }), make("th", "because of", { scope: "col" }), make("th", "words", { scope: "col" }))), make("tbody", "", {}, ...rows)));
  }
  $("why-title").textContent = `Reasons for report ${report_id}`;
  $("why-body").replaceChildren(...parts);
  $("why").showModal();
});

// Keys

const KEYS = {
  y: () => decide("yes"), n: () => decide("no"), s: () => decide("unsure"), u: undo, r: openReasons, "?": () => $("help").showModal(),
  c: () => $("comment").focus(), f: () => $("flag").click(), j: () => select(state.mention + 1), k: () => select(state.mention < 0 ? -1 : state.mention - 1),
  ",": () => state.report && showOther(state.other - 1), ".": () => state.report && showOther(state.other + 1),
};
const pick = (name, value) => {
  const input = document.querySelector(`input[name=${name}][value="${value}"]`);
  if (input) { input.checked = true; input.focus(); }
};
const DETAIL_KEYS = { t: () => $("tendon").focus(), l: () => pick("side", "left"), r: () => pick("side", "right"), b: () => pick("side", "bilateral") };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("textarea, select");
  const yes = state.decision === "yes";
  if (event.key === "Escape") {
    if (typing) $("title").focus({ preventScroll: true });
    else if (yes) { choose(""); $("title").focus({ preventScroll: true }); }
  } else if (event.key === "Enter" && yes && !event.target.matches("textarea, button")) save("yes");
  else if (typing || !$("keys").checked || event.repeat) return;
  else if (yes && /^[0-9]$/.test(event.key)) {
    const inputs = [...document.querySelectorAll("input[name=type]")];
    const input = event.key === "0" ? inputs.at(-1) : inputs[event.key - 1];
    if (input) { input.checked = true; input.focus(); }
  } else {
    const act = (yes && DETAIL_KEYS[event.key]) || KEYS[event.key];
    if (!act) return;
    act();
  }
  event.preventDefault();
});

// Start

function theme(name) {
  document.documentElement.classList.toggle("dark", name === "dark");
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
  try { localStorage.setItem("theme", name); } catch { /* not kept */ }
}

function radios(place, name, values) {
  for (const [value, key] of values) {
    const input = make("input", "", { type: "radio", name, value });
    place.append(make("label", "", {}, input, value === "none" ? "not told" : words(value), ...(key ? [make("kbd", key)] : [])));
  }
}

async function start() {
  const kept = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  theme(kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  $("theme").addEventListener("click", () => theme(document.documentElement.classList.contains("dark") ? "light" : "dark"));
  $("help-open").addEventListener("click", () => $("help").showModal());
  $("undo").addEventListener("click", undo);
  $("reasons-open").addEventListener("click", openReasons);
  $("save").addEventListener("click", () => save("yes"));
  $("flag").addEventListener("click", () => $("flag").setAttribute("aria-pressed", String($("flag").getAttribute("aria-pressed") !== "true")));
  $("decide").addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("[data-decision]")) button.addEventListener("click", () => decide(button.dataset.decision));
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  const { choices, reviewer, role, show: when } = await ask("/api/start");
  Object.assign(state, { role, show: when });
  $("who").textContent = `${reviewer}${role === "adjudicator" ? ", adjudicating" : ""}`;
  radios($("types"), "type", choices.migration_type.map((t, k) => [t, t === "none" ? "0" : String(k + 1)]));
  radios($("sides"), "side", choices.laterality.map((s) => [s, s === "none" ? "" : s[0]]));
  $("tendon").append(...choices.tendon.map((t) => make("option", t === "none" ? "not told" : words(t), { value: t })));
  await showNext();
}

once(start);
