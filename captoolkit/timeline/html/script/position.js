// The position in the recording: going there, playing, the current caption, links to a time.

let now = 0, current = -1;

function entryAt(seconds) {
  const at = firstAfter(starts, seconds + 0.001) - 1;
  return at >= 0 && seconds < ends[at] ? at : -1;
}

function showPosition() {
  $("here").textContent = formatTime(now);
  $("of").textContent = ` / ${formatTime(total)}`;
  $("position").value = (1000 * now) / total;
  $("position").setAttribute("aria-valuetext", `${formatTime(now)} of ${formatTime(total)}`);
}

function arrive(seconds, { show = false } = {}) {
  now = seconds;
  showPosition();
  const at = entryAt(seconds);
  if (at !== current) {
    rows[current]?.removeAttribute("aria-current");
    current = at;
    rows[at]?.setAttribute("aria-current", "true");
    drawMarks();
    show ||= wave.isPlaying() && $("follow").checked;
  }
  if (show) reveal(rows[at]);
}

// The heights of rows that were never on screen are estimates. Each frame measures more of them, so
// the page scrolls again until the row is on screen; smooth scrolling would miss it.
const MOST_LOOKS = 8;

function reveal(row, looks = MOST_LOOKS, before = NaN) {
  if (!row || row !== rows[current] || row.hidden) return;
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

// The next entry in a direction, among those that the filter shows.
function step(by) {
  const here = current >= 0 ? current : Math.max(0, firstAfter(starts, now) - 1);
  let at = here + by;
  while (rows[at]?.hidden) at += by;
  if (!rows[at]) at = rows[here]?.hidden ? -1 : here;
  if (rows[at]) go(starts[at]);
}

// The next caption that is missing, from the position on; after the last one the first.
function nextHole() {
  const holes = rows.map((_, at) => at).filter((at) => statuses[at] === "failed");
  if (!holes.length) return;
  const at = holes.find((hole) => starts[hole] > now + 0.001) ?? holes[0];
  if (rows[at].hidden) { $("show").value = "all"; $("hits-only").checked = false; filterRows(); }
  go(starts[at]);
}

// ----------------------------------------------------------------------------- playing

async function play() {
  if (!canPlay()) return;
  try { await wave.playPause(); } catch { trouble(); }
}

async function playFrom(seconds) {
  go(seconds, { show: false });
  if (canPlay() && !wave.isPlaying()) await play();
}

const canPlay = () => playable && !$("play").disabled;

let place = 0; // of data.places: where the recording is looked for

function tryNextPlace() {
  if (place + 1 >= data.places.length) return trouble();
  place += 1;
  sound.src = data.places[place];
  sound.load();
}

// A name that is not UTF-8 stays percent-encoded.
function readable(address) {
  try { return decodeURIComponent(address); } catch { return address; }
}

function trouble() {
  if (!sound.error || place + 1 < data.places.length) return;
  const where = data.places[0] ?? "";
  const named = where.startsWith("data:") ? "" : ` (${readable(where)})`;
  $("trouble").textContent = "The recording cannot be played: it is not where this page looks for it" +
    `${named}, or this browser does not play its format. Everything else is here.`;
  $("trouble").hidden = false;
  $("play").disabled = true;
}

// ------------------------------------------------------------------------------- links

// `#t=83.5` or `#t=1:23.5`, as in media fragments; `#s3` is the third entry.
const TIME_LINK = /^#t=(?:npt:)?(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)$/;

function fromAddress() {
  const time = TIME_LINK.exec(location.hash);
  if (time) return (time[1] ?? 0) * 3600 + (time[2] ?? 0) * 60 + Number(time[3]);
  const at = rows.findIndex((row) => "#" + row.id === location.hash);
  return at < 0 ? null : starts[at];
}

function linkTo(seconds) {
  return `${location.href.split("#")[0]}#t=${Number(seconds.toFixed(3))}`;
}

async function copyLink(seconds) {
  history.replaceState(null, "", linkTo(seconds));
  if (await copy(linkTo(seconds))) notice(`Link to ${formatTime(seconds)} copied`);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea"), before = document.activeElement;
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    before?.focus();
    if (!isCopied) notice("This browser does not let the page copy");
    return isCopied;
  }
}
