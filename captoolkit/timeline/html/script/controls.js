// Theme, keyboard, mouse, and the start of the page.

const darkness = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkness.matches);

function setTheme(theme) {
  if (theme) root.dataset.theme = theme;
  $("theme").textContent = isDark() ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
  if (!isReady) return;
  wave.setOptions(readColours());
  drawAll();
  paintSpectrum();
}

function turnTheme() {
  setTheme(isDark() ? "light" : "dark");
  keep("theme", root.dataset.theme);
}

// ------------------------------------------------------------------------------ keyboard

const KEYS = {
  " ": play,
  ArrowLeft: (event) => go(now - (event.shiftKey ? 60 : 5)),
  ArrowRight: (event) => go(now + (event.shiftKey ? 60 : 5)),
  Home: () => go(starts[shownRows[0]] ?? 0),
  End: () => go(starts[shownRows.at(-1)] ?? 0),
  j: () => step(1),
  k: () => step(-1),
  "]": () => step(1),
  "[": () => step(-1),
  h: nextHole,
  n: () => stepHit(1),
  N: () => stepHit(-1),
  e: () => edit(current),
  l: () => copyLink(now),
  "/": () => $("query").select(),
  "+": () => zoomBy(2),
  "=": () => zoomBy(2),
  "-": () => zoomBy(0.5),
  t: nextForm,
  d: turnTheme,
  "?": () => $("help").showModal(),
};

// A clicked control returns the focus, or the next space would press it again; a control focused by
// the keyboard keeps it. The listener captures, so that it also covers the dialog.
let byPointer = false;
const release = () => { if (byPointer && !$("help").open) document.activeElement?.blur(); };
document.addEventListener("pointerdown", () => { byPointer = true; }, true);
document.addEventListener("click", (event) => {
  if (event.detail && !event.target.closest("[type=search], select, textarea, .edit, .said, dialog")) release();
}, true);

document.addEventListener("keydown", (event) => {
  byPointer = false;
  const busy = event.target.closest("[type=search], select, textarea");
  const pressed = event.key === " " && event.target.closest("button, summary, [type=checkbox]");
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

// --------------------------------------------------------------------------------- mouse

const ROW_BUTTONS = { edit, revert, link: (at) => copyLink(starts[at]) };
const DOUBLE_CLICK_MS = 250; // a double click selects a word and plays nothing
let clicked = 0;

$("captions").addEventListener("click", (event) => {
  const row = event.target.closest(".entry"), at = row ? rows.indexOf(row) : -1;
  clearTimeout(clicked);
  if (at < 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const button = event.target.closest("button");
  if (button) return ROW_BUTTONS[button.className]?.(at);
  const link = event.target.closest(".when");
  if (link) {
    event.preventDefault();
    history.replaceState(null, "", link.hash);
    return go(starts[at], { show: false });
  }
  const isText = event.target.closest(".said") && !event.target.closest("summary, textarea");
  if (isText && event.detail === 1 && getSelection().isCollapsed) {
    clicked = setTimeout(() => { if (getSelection().isCollapsed) playFrom(starts[at]); }, DOUBLE_CLICK_MS);
  }
});
window.addEventListener("hashchange", () => { const at = fromAddress(); if (at !== null) go(at); });

$("wave").addEventListener("pointermove", (event) => {
  const { pixels, from } = view(), tip = $("tip");
  const here = event.clientX - $("wave").getBoundingClientRect().left;
  const at = Math.min(Math.max(from + here / pixels, 0), total), entry = entryAt(at);
  const said = entry < 0 ? "" : captionText(entry).replace(/\s+/g, " ").trim();
  tip.hidden = event.pointerType === "touch";
  tip.textContent = `${formatTime(at)}  ${said.length > 110 ? said.slice(0, 110) + "…" : said}`;
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
sound.addEventListener("error", tryNextPlace);
sound.addEventListener("click", play);
$("spectrum").addEventListener("click", (event) => {
  const { pixels, from } = view();
  go(from + event.offsetX / pixels);
});

for (const [name, act] of Object.entries({
  play,
  previous: () => step(-1),
  next: () => step(1),
  link: () => copyLink(now),
  wider: () => zoomBy(2),
  narrower: () => zoomBy(0.5),
  "hit-before": () => stepHit(-1),
  "hit-after": () => stepHit(1),
  hole: nextHole,
  copy: copyCaptions,
  download: downloadCaptions,
  save: saveTimeline,
  keyboard: () => $("help").showModal(),
  close: () => $("help").close(),
  theme: turnTheme,
})) $(name).addEventListener("click", act);
for (const [name, act] of Object.entries({
  speed: () => wave.setPlaybackRate(Number($("speed").value)),
  form: () => setForm($("form").value),
  show: filterRows,
  format: () => {},
  "hits-only": search,
  parts: search,
})) $(name).addEventListener("change", () => { act(); release(); });
$("position").addEventListener("input", () => go(($("position").value * total) / 1000));
darkness.addEventListener("change", () => setTheme());
window.addEventListener("beforeprint", () => { zoomBy(0); });

new ResizeObserver(() => root.style.setProperty("--top", `${$("player").offsetHeight}px`)).observe($("player"));

$("play").disabled = !playable;
if (sound.error) tryNextPlace();
countKinds();
setTheme(kept("theme", ""));
setForm(form);
zoomBy(1);
paintSpectrum();
