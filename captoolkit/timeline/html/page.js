
(() => {
"use strict";

// ------------------------------------------------------------------------- data and elements

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const root = document.documentElement;
const sound = $("sound");
const rows = [...document.querySelectorAll(".entry")];
const starts = data.starts.map((at) => at / data.rate_hz);
const ends = data.ends.map((at) => at / data.rate_hz);
const total = data.samples / data.rate_hz;
const playable = sound.hasAttribute("src");
const SHARPEST_PX = 16384; // twice the columns of the envelope
const CLOSEST_S = 30; // the zoom of a long recording ends at this width
const WIDEST_PX = 1 << 19; // the largest width that browsers draw

root.classList.add("js");
sound.removeAttribute("controls");

function kept(name, usual) {
  try { return localStorage.getItem("captoolkit." + name) ?? usual; } catch { return usual; }
}

function keep(name, value) {
  try { localStorage.setItem("captoolkit." + name, value); } catch { /* without storage the setting is not remembered */ }
}

// ---------------------------------------------------------------------------- time formats

const two = (number) => String(number).padStart(2, "0");

function clock(seconds, decimals) {
  const ticks = Math.round(seconds * 10 ** decimals);
  const whole = Math.floor(ticks / 10 ** decimals);
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const text = hours ? `${hours}:${two(minutes)}` : String(minutes);
  const part = decimals ? "." + String(ticks % 10 ** decimals).padStart(decimals, "0") : "";
  return `${text}:${two(whole % 60)}${part}`;
}

const FORMS = {
  clock: (samples) => clock(samples / data.rate_hz, 0),
  millis: (samples) => clock(samples / data.rate_hz, 3),
  seconds: (samples) => (samples / data.rate_hz).toFixed(3),
  samples: (samples) => String(Math.round(samples)),
};
let form = kept("form", "clock");
if (!(form in FORMS)) form = "clock";
const told = (seconds) => FORMS[form](seconds * data.rate_hz);

function tellTimes(chosen) {
  form = chosen;
  keep("form", form);
  $("form").value = form;
  for (const time of document.querySelectorAll("time")) time.textContent = FORMS[form](time.dataset.at);
  tellNow();
  rule();
}

// ------------------------------------------------------------------------------- waveform

const HIGHEST = 255, STEPS_PER_DB = 4;

// The height is the cube root of the power: quiet sound stays visible, loud sound keeps its shape.
function heights(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  return Float32Array.from(bytes, (byte) => byte && 10 ** ((byte - HIGHEST) / STEPS_PER_DB / 30));
}

function measured() {
  if (!data.envelope) return [new Float32Array(2), new Float32Array(2)];
  const peaks = heights(data.envelope.peaks), loudness = heights(data.envelope.loudness);
  const highest = Math.max(0.05, peaks.reduce((one, other) => Math.max(one, other), 0));
  return [peaks, loudness].map((curve) => curve.map((height) => height / highest));
}

function draw(curves, context) {
  const { width, height } = context.canvas;
  curves.forEach((curve, which) => {
    context.globalAlpha = which ? 1 : 0.45;
    for (let x = 0; x < width; x++) {
      const from = Math.floor((x * curve.length) / width);
      const to = Math.max(from + 1, Math.floor(((x + 1) * curve.length) / width));
      let most = 0;
      for (let at = from; at < to; at++) most = Math.max(most, curve[at]);
      const bar = Math.max(1, most * (height - 14));
      context.fillRect(x, (height - bar) / 2 + 5, 1, bar);
    }
  });
  context.globalAlpha = 1;
}

function colours() {
  const probe = document.createElement("span");
  $("wave").append(probe);
  const named = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { waveColor: named("wave"), progressColor: named("accent"), cursorColor: named("ink") };
  probe.remove();
  return found;
}

const MOST_STRIPES = 400;
const FIXED = { drag: false, resize: false, color: "transparent" };
let boxes = [], marker = null;
const regions = WaveSurfer.Regions.create();
const narrow = matchMedia("(max-width: 46rem)").matches;
const wave = WaveSurfer.create({
  container: "#wave",
  media: sound,
  peaks: measured(),
  duration: total,
  height: narrow ? 56 : 132,
  cursorWidth: 2,
  dragToSeek: true,
  renderFunction: draw,
  cspNonce: $("wave").dataset.nonce,
  plugins: [regions],
  ...colours(),
});
// A film may last longer than its sound: all places on the waveform are shares of the timeline.
wave.getDuration = () => total;

wave.on("ready", () => {
  if (marker) return;
  marker = regions.addRegion({ id: "now", start: 0, end: 0.001, ...FIXED });
  lay();
  rule();
  go(fromAddress(), { show: location.hash !== "" });
});

// The look of an entry on the waveform; if there are few entries, neighbours differ.
function look(at) {
  const words = ["failed", "silent", "hit"].filter((word) => rows[at].classList.contains(word));
  if (rows.length <= MOST_STRIPES) words.push(at % 2 ? "odd" : "even");
  return words.join(" ");
}

// One region for each run of entries of equal look, because thousands of regions are slow.
function lay() {
  boxes.forEach((box) => box.remove());
  boxes = [];
  for (let from = 0, to = 0; from < rows.length; from = to) {
    const alike = look(from);
    for (to = from + 1; to < rows.length && look(to) === alike && starts[to] - ends[to - 1] < 0.001;) to += 1;
    const box = regions.addRegion({ start: starts[from], end: ends[to - 1], ...FIXED });
    box.element.setAttribute("part", `region ${alike}`);
    boxes.push(box);
  }
}

// Seconds between two labels of the ruler; there is a mark in the middle.
const LABELS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
let ruler = null, shelf = null;

function rule() {
  if (!marker) return;
  const pixels = wave.getWrapper().scrollWidth / total;
  const room = 40 + 7 * told(total).length;
  const label = LABELS_S.find((seconds) => seconds * pixels >= room) ?? LABELS_S.at(-1);
  unrule();
  // Fill the ruler before showing it, so that the browser lays out all marks at once.
  shelf = document.createElement("div");
  ruler = wave.registerPlugin(WaveSurfer.Timeline.create({
    container: shelf, height: 18, timeInterval: label / 2, primaryLabelInterval: label, secondaryLabelInterval: label,
    formatTimeCallback: (at) => ((total - at) * pixels < 8 + 6 * told(at).length ? "" : told(at)),
  }));
  wave.getWrapper().append(shelf);
}

function unrule() {
  ruler?.destroy();
  shelf?.remove();
  ruler = shelf = null;
}

const pixelsToFit = () => $("wave").clientWidth / total;
let zoom = 1;

function zoomBy(factor) {
  const width = $("wave").clientWidth;
  const most = Math.max(1, SHARPEST_PX / width, Math.min(total / CLOSEST_S, WIDEST_PX / width));
  zoom = Math.min(most, Math.max(1, zoom * factor));
  unrule(); // wavesurfer would draw the old ruler again
  if (marker) wave.zoom(zoom === 1 ? 0 : zoom * pixelsToFit());
  rule();
  $("wider").disabled = zoom >= most;
  $("narrower").disabled = zoom === 1;
}

// ------------------------------------------------------------------------------- position

let now = 0, current = -1;

function entryAt(seconds) {
  let low = 0, high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= seconds + 0.001) low = middle + 1; else high = middle;
  }
  return low && seconds < ends[low - 1] ? low - 1 : -1;
}

function tellNow() {
  $("here").textContent = told(now);
  $("of").textContent = ` / ${told(total)}`;
  $("position").value = (1000 * now) / total;
  $("position").setAttribute("aria-valuetext", `${told(now)} of ${told(total)}`);
}

function arrive(seconds, { show = false } = {}) {
  now = seconds;
  tellNow();
  const at = entryAt(seconds);
  if (at !== current) {
    rows[current]?.removeAttribute("aria-current");
    current = at;
    rows[at]?.setAttribute("aria-current", "true");
    marker?.setOptions(at < 0 ? { start: 0, end: 0.001 } : { start: starts[at], end: ends[at] });
    show ||= wave.isPlaying() && $("follow").checked;
  }
  if (show) reveal(rows[at]);
}

// The heights of rows that were never on screen are estimates. Each frame measures more of them, so
// the page scrolls again until the row is on screen; smooth scrolling would miss it.
const MOST_LOOKS = 8;

function reveal(row, looks = MOST_LOOKS, before = NaN) {
  if (!row || row !== rows[current]) return;
  const room = innerHeight - $("player").offsetHeight - 32;
  const block = row.offsetHeight > room ? "start" : "nearest";
  row.scrollIntoView({ block, behavior: "instant" });
  const { top, bottom } = row.getBoundingClientRect();
  if (looks > 0 && (looks > MOST_LOOKS - 3 || top + bottom !== before)) {
    requestAnimationFrame(() => reveal(row, looks - 1, top + bottom));
  }
}

function go(seconds, options = { show: true }) {
  const at = Math.min(Math.max(seconds, 0), total);
  sound.currentTime = at; // wavesurfer drops a seek while another one runs
  wave.setTime(at);
  arrive(at, options);
}

function step(by) {
  const here = current >= 0 ? current : Math.max(0, starts.findLastIndex((start) => start <= now));
  const at = Math.min(Math.max(here + by, 0), rows.length - 1);
  if (rows.length) go(starts[at]);
}

function fromAddress() {
  const at = rows.findIndex((row) => "#" + row.id === location.hash);
  return at < 0 ? 0 : starts[at];
}

async function play() {
  if (!playable) return;
  try { await wave.playPause(); } catch { trouble(); }
}

// A name that is not UTF-8 stays percent-encoded.
function readable(address) {
  try { return decodeURIComponent(address); } catch { return address; }
}

function trouble() {
  const where = sound.getAttribute("src") ?? "";
  const place = where.startsWith("data:") ? "" : ` (${readable(where)})`;
  $("trouble").textContent = "The recording cannot be played: it is not where this page looks for it" +
    `${place}, or this browser does not play its format. Everything else is here.`;
  $("trouble").hidden = false;
  $("play").disabled = true;
}

// --------------------------------------------------------------------------------- search

const MOST_MARKED = 5000;
let found = [], chosen = -1, waiting = 0, searched = "";

function search() {
  const wanted = $("query").value.trim();
  searched = $("query").value;
  const pattern = wanted && new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replace(/\s+/g, "\\s+"), "giu");
  const marks = [];
  let number = 0;
  found = [];
  chosen = -1;
  rows.forEach((row, at) => {
    const before = number;
    if (pattern) number += hitsIn(row.querySelector(".said"), pattern, marks);
    const hit = number > before;
    if (hit) found.push(at);
    row.classList.toggle("hit", hit);
  });
  if (marker) lay();
  if (window.Highlight) CSS.highlights.set("hit", new Highlight(...marks));
  $("hit-before").disabled = $("hit-after").disabled = !found.length;
  tellHits(number, wanted);
}

function hitsIn(element, pattern, marks) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let number = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const hit of node.data.matchAll(pattern)) {
      number += 1;
      if (marks.length >= MOST_MARKED) continue;
      const range = new Range();
      range.setStart(node, hit.index);
      range.setEnd(node, hit.index + hit[0].length);
      marks.push(range);
    }
  }
  return number;
}

function tellHits(number, wanted) {
  const hits = `${number} ${number === 1 ? "hit" : "hits"}`;
  const captions = `${found.length} ${found.length === 1 ? "caption" : "captions"}`;
  $("hits").textContent = !wanted ? "" : number ? `${hits} in ${captions}` : "no hits";
}

function stepHit(by) {
  if (!found.length) return;
  if (chosen < 0) {
    const after = found.findIndex((at) => starts[at] >= now);
    chosen = by > 0 ? Math.max(after, 0) : (after < 0 ? found.length : after) - 1;
  } else chosen += by;
  chosen = (chosen + found.length) % found.length;
  go(starts[found[chosen]]);
}

// ---------------------------------------------------------------------------------- theme

const darkness = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkness.matches);

function dress(theme) {
  if (theme) root.dataset.theme = theme;
  $("theme").textContent = isDark() ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
  if (marker) wave.setOptions(colours());
}

function turn() {
  dress(isDark() ? "light" : "dark");
  keep("theme", root.dataset.theme);
}

// -------------------------------------------------------------------- keyboard and mouse

const another = () => {
  const forms = Object.keys(FORMS);
  tellTimes(forms[(forms.indexOf(form) + 1) % forms.length]);
};
const KEYS = {
  " ": play,
  ArrowLeft: (event) => go(now - (event.shiftKey ? 60 : 5)),
  ArrowRight: (event) => go(now + (event.shiftKey ? 60 : 5)),
  Home: () => go(starts[0] ?? 0),
  End: () => go(starts.at(-1) ?? 0),
  j: () => step(1),
  k: () => step(-1),
  n: () => stepHit(1),
  N: () => stepHit(-1),
  "/": () => $("query").select(),
  "+": () => zoomBy(2),
  "=": () => zoomBy(2),
  "-": () => zoomBy(0.5),
  t: another,
  d: turn,
  "?": () => $("help").showModal(),
};

// A clicked control returns the focus, or the next space would press it again; a control focused by
// the keyboard keeps it. The listener captures, so that it also covers the dialog.
let byPointer = false;
const release = () => { if (byPointer && !$("help").open) document.activeElement?.blur(); };
document.addEventListener("pointerdown", () => { byPointer = true; }, true);
document.addEventListener("click", (event) => {
  if (event.detail && !event.target.closest("[type=search], select, dialog")) release();
}, true);

document.addEventListener("keydown", (event) => {
  byPointer = false;
  const busy = event.target.closest("[type=search], select");
  const pressed = event.key === " " && event.target.closest("button, [type=checkbox]");
  if ($("help").open) return;
  const act = Object.hasOwn(KEYS, event.key) && KEYS[event.key];
  if (!act || busy || pressed || !$("keys").checked) return;
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act(event);
});

$("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter") { if (searched !== event.target.value) search(); stepHit(event.shiftKey ? -1 : 1); }
  if (event.key === "Escape") { $("query").value = ""; search(); $("query").blur(); }
});
$("query").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(search, 120);
});
$("captions").addEventListener("click", (event) => {
  const link = event.target.closest(".when");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.replaceState(null, "", link.hash);
  go(starts[rows.indexOf(link.closest(".entry"))], { show: false });
});
window.addEventListener("hashchange", () => go(fromAddress()));

$("wave").addEventListener("pointermove", (event) => {
  const box = wave.getWrapper().getBoundingClientRect(), tip = $("tip");
  const at = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * total;
  const row = rows[entryAt(at)];
  const said = row?.querySelector(".said").textContent.replace(/\s+/g, " ").trim() ?? "";
  tip.hidden = event.pointerType === "touch";
  tip.textContent = `${told(at)}  ${said.length > 110 ? said.slice(0, 110) + "…" : said}`;
  const here = event.clientX - $("wave").getBoundingClientRect().left;
  tip.style.left = `${Math.min(Math.max(here - tip.offsetWidth / 2, 0), $("wave").clientWidth - tip.offsetWidth)}px`;
});
$("wave").addEventListener("pointerleave", () => { $("tip").hidden = true; });

wave.on("timeupdate", (seconds) => arrive(seconds));
wave.on("interaction", (seconds) => arrive(seconds, { show: true }));
for (const [word, label] of [["play", "Pause"], ["pause", "Play"], ["finish", "Play"]]) {
  wave.on(word, () => {
    root.classList.toggle("playing", word === "play");
    $("play").setAttribute("aria-label", label);
  });
}
wave.on("resize", rule);
wave.on("error", trouble);
sound.addEventListener("error", trouble);

$("play").addEventListener("click", play);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("position").addEventListener("input", () => go(($("position").value * total) / 1000));
$("speed").addEventListener("change", () => { wave.setPlaybackRate(Number($("speed").value)); release(); });
$("wider").addEventListener("click", () => zoomBy(2));
$("narrower").addEventListener("click", () => zoomBy(0.5));
$("hit-before").addEventListener("click", () => stepHit(-1));
$("hit-after").addEventListener("click", () => stepHit(1));
$("form").addEventListener("change", () => { tellTimes($("form").value); release(); });
$("keyboard").addEventListener("click", () => $("help").showModal());
$("close").addEventListener("click", () => $("help").close());
$("theme").addEventListener("click", turn);
darkness.addEventListener("change", () => dress());
window.addEventListener("beforeprint", () => { zoomBy(0); });

new ResizeObserver(() => root.style.setProperty("--top", `${$("player").offsetHeight}px`)).observe($("player"));

$("play").disabled = !playable;
if (sound.error) trouble();
dress(kept("theme", ""));
tellTimes(form);
zoomBy(1);
})();
