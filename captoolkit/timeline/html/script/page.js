// The data of the page, its elements, the settings that the browser keeps, and the forms of times.
// All files of this folder are one script, in the order of SCRIPT in __init__.py; names are shared.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const root = document.documentElement;
const sound = $("sound");
const rows = [...document.querySelectorAll(".entry")];
const starts = data.starts.map((at) => at / data.rate_hz);
const ends = data.ends.map((at) => at / data.rate_hz);
const total = data.samples / data.rate_hz;
const playable = data.places.length > 0;
const statuses = rows.map((row) => ["failed", "silent"].find((word) => row.classList.contains(word)) ?? "ok");

root.classList.add("js");
sound.removeAttribute("controls");

function kept(name, usual) {
  try { return localStorage.getItem("captoolkit." + name) ?? usual; } catch { return usual; }
}

function keep(name, value) {
  try { localStorage.setItem("captoolkit." + name, value); } catch { /* without storage the setting is not remembered */ }
}

// A short message for eyes and screen readers, which goes by itself.
let noticed = 0;

function notice(text) {
  clearTimeout(noticed);
  $("notice").textContent = text;
  noticed = setTimeout(() => { $("notice").textContent = ""; }, 4000);
}

// A function that runs once before the next frame, however often it is called.
function oncePerFrame(act) {
  let waiting = 0;
  return () => { waiting ||= requestAnimationFrame(() => { waiting = 0; act(); }); };
}

function bytesOf(encoded) {
  return Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
}

async function inflated(encoded) {
  const stream = new Blob([bytesOf(encoded)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// ---------------------------------------------------------------------------- forms of times

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
const formatTime = (seconds) => FORMS[form](seconds * data.rate_hz);

function setForm(chosen) {
  form = chosen;
  keep("form", form);
  $("form").value = form;
  refreshRows();
  showPosition();
  drawRuler();
}

function nextForm() {
  const forms = Object.keys(FORMS);
  setForm(forms[(forms.indexOf(form) + 1) % forms.length]);
}
