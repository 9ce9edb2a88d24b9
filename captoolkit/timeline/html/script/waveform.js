// The waveform, and on a canvas over it the entries, the search hits and the scale in decibels; the
// ruler; the spectrogram. Only what is in view is drawn, so that any number of entries is quick.

const SHARPEST_PX = 16384; // twice the columns of the envelope
const CLOSEST_S = 30; // the zoom of a long recording ends at this width
const WIDEST_PX = 1 << 19; // the largest width that browsers draw
const TOP_PX = 12; // room above the waveform for the bars of failures and hits
const HIGHEST = 255, STEPS_PER_DB = 4;

// The height is the cube root of the power: quiet sound stays visible, loud sound keeps its shape.
const heightOf = (level_db) => 10 ** (level_db / 30);

function heights(encoded) {
  return Float32Array.from(bytesOf(encoded), (byte) => byte && heightOf((byte - HIGHEST) / STEPS_PER_DB));
}

let highest = 1; // the height of the loudest peak, which fills the waveform

function measuredCurves() {
  if (!data.envelope) return [new Float32Array(2), new Float32Array(2)];
  const peaks = heights(data.envelope.peaks), loudness = heights(data.envelope.loudness);
  highest = Math.max(0.05, peaks.reduce((one, other) => Math.max(one, other), 0));
  return [peaks, loudness].map((curve) => curve.map((height) => height / highest));
}

function drawCurves(curves, context) {
  const { width, height } = context.canvas, top = TOP_PX * devicePixelRatio;
  curves.forEach((curve, which) => {
    context.globalAlpha = which ? 1 : 0.45;
    for (let x = 0; x < width; x++) {
      const from = Math.floor((x * curve.length) / width);
      const to = Math.max(from + 1, Math.floor(((x + 1) * curve.length) / width));
      let most = 0;
      for (let at = from; at < to; at++) most = Math.max(most, curve[at]);
      const bar = Math.max(1, most * (height - top));
      context.fillRect(x, (height - top - bar) / 2 + top, 1, bar);
    }
  });
  context.globalAlpha = 1;
}

// The colours of the style sheet as a canvas takes them; they depend on the theme.
let ink = {};

function readColours() {
  const probe = document.createElement("span");
  $("wave").append(probe);
  const names = ["wave", "accent", "ink", "quiet", "card", "failed", "silent", "hit-bar", "stripe"];
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    ink[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return { waveColor: ink.wave, progressColor: ink.accent, cursorColor: ink.ink };
}

const narrow = matchMedia("(max-width: 46rem)").matches;
const wave = WaveSurfer.create({
  container: "#wave",
  media: sound,
  peaks: measuredCurves(),
  duration: total,
  height: narrow ? 56 : 132,
  cursorWidth: 2,
  dragToSeek: true,
  renderFunction: drawCurves,
  cspNonce: $("wave").dataset.nonce,
  ...readColours(),
});
// A film may last longer than its sound: all places on the waveform are shares of the timeline.
wave.getDuration = () => total;

let isReady = false;

wave.on("ready", () => {
  if (isReady) return;
  isReady = true;
  drawAll();
  go(fromAddress() ?? 0, { show: location.hash !== "" });
});

// ---------------------------------------------------------------------- what is in view

function view() {
  const width = $("wave").clientWidth;
  const pixels = (width * zoom) / total; // per second
  const from = wave.getScroll() / pixels;
  return { width, pixels, from, to: from + width / pixels };
}

// A canvas of the size of its element, empty, with CSS pixels as its unit.
function prepared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  return { context, width, height };
}

function hatch(context, colour, alpha) {
  const tile = new OffscreenCanvas(6, 6), pen = tile.getContext("2d");
  pen.globalAlpha = alpha;
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const at of [-6, 0, 6]) { pen.moveTo(at - 1, 7); pen.lineTo(at + 7, -1); }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}

const firstAfter = (values, seconds) => {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= seconds) low = middle + 1; else high = middle;
  }
  return low;
};

const drawMarks = oncePerFrame(() => {
  const { pixels, from, to } = view();
  const { context, width, height } = prepared($("marks"));
  const first = firstAfter(ends, from), last = firstAfter(starts, to);
  const striped = (last - first) * 4 < width;
  const hatches = { failed: hatch(context, ink.failed, 0.75), silent: hatch(context, ink.silent, 0.4) };
  for (let at = first; at < last; at++) {
    const x = (starts[at] - from) * pixels, wide = Math.max((ends[at] - starts[at]) * pixels, 1);
    const status = statuses[at];
    if (striped && at % 2) fill(context, ink.stripe, x, TOP_PX, wide, height);
    if (status !== "ok") {
      fill(context, hatches[status], x, TOP_PX, wide, height);
      fill(context, ink[status], x, TOP_PX, wide, 3);
    }
    if (hitCounts[at]) {
      context.globalAlpha = 0.14;
      fill(context, ink["hit-bar"], x, TOP_PX, wide, height);
      context.globalAlpha = 1;
      fill(context, ink["hit-bar"], x, 0, Math.max(wide - 1, 2), TOP_PX - 4);
    }
  }
  if (current >= 0) {
    const x = (starts[current] - from) * pixels, wide = Math.max((ends[current] - starts[current]) * pixels, 2);
    context.globalAlpha = 0.2;
    fill(context, ink.accent, x, TOP_PX, wide, height);
    context.globalAlpha = 1;
    fill(context, ink.accent, x, TOP_PX, wide, 3);
    fill(context, ink.accent, x, height - 3, wide, 3);
  }
  if (data.envelope) drawScale(context, height);
});

function fill(context, style, x, y, width, height) {
  context.fillStyle = style;
  context.fillRect(x, y, width, height);
}

// Levels of the peaks in dBFS, at the left of the waveform; as many as there is room for.
const SCALE_DB = [0, -3, -6, -12, -18, -24, -30, -40, -50];
const SCALE_ROOM_PX = 13;

function drawScale(context, height) {
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  let reached = -SCALE_ROOM_PX;
  const middle = (height - TOP_PX) / 2 + TOP_PX;
  for (const level of SCALE_DB) {
    const y = middle - ((heightOf(level) / highest) * (height - TOP_PX)) / 2;
    if (y < TOP_PX - 0.5 || y > middle - SCALE_ROOM_PX || y - reached < SCALE_ROOM_PX) continue;
    const text = `${level} dB`.replace("-", "−"), place = Math.max(y, TOP_PX + 6);
    context.globalAlpha = 0.35;
    fill(context, ink.quiet, 0, y, context.canvas.width, 0.5);
    context.globalAlpha = 1;
    context.strokeStyle = ink.card;
    context.strokeText(text, 3, place);
    context.fillStyle = ink.ink;
    context.fillText(text, 3, place);
    reached = y;
  }
}

// Seconds between two labels of the ruler.
const LABELS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

const drawRuler = oncePerFrame(() => {
  const { width, pixels, from, to } = view();
  const room = 24 + 7.5 * formatTime(total).length;
  const every = LABELS_S.find((seconds) => seconds * pixels >= room) ?? LABELS_S.at(-1);
  const labels = [];
  for (let mark = Math.floor(from / every); mark * every <= Math.min(to, total); mark++) {
    const label = document.createElement("span"), x = (mark * every - from) * pixels;
    label.textContent = formatTime(mark * every);
    label.style.left = `${x}px`;
    const end = x + 8 + 7 * label.textContent.length;
    if (x >= -1 && end <= width) labels.push(label);
  }
  $("ruler").replaceChildren(...labels);
});

// ------------------------------------------------------------------------- spectrogram

const LEVELS = 32;
let spectrum = null, levels = null;

// The levels as a picture of one pixel for each band of each column, the highest band on top.
async function paintSpectrum() {
  if (!data.spectrogram) return;
  levels ??= new Uint8Array(await inflated(data.spectrogram.levels));
  const bands = data.spectrogram.bands, columns = levels.length / bands;
  if (!columns) return;
  spectrum = new OffscreenCanvas(columns, bands);
  const context = spectrum.getContext("2d"), picture = context.createImageData(columns, bands);
  const palette = readPalette();
  for (let column = 0; column < columns; column++) {
    for (let band = 0; band < bands; band++) {
      const place = ((bands - 1 - band) * columns + column) * 4;
      picture.data.set(palette[levels[column * bands + band]], place);
    }
  }
  context.putImageData(picture, 0, 0);
  drawSpectrum();
}

// A colour for each level: from the background over the waveform's colour to that of hits.
function readPalette() {
  const strip = new OffscreenCanvas(LEVELS, 1), context = strip.getContext("2d", { willReadFrequently: true });
  const shade = context.createLinearGradient(0, 0, LEVELS, 0);
  [[0.2, ink.card], [0.6, ink.wave], [0.85, ink.accent], [1, ink["hit-bar"]]].forEach(([at, colour]) => shade.addColorStop(at, colour));
  fill(context, shade, 0, 0, LEVELS, 1);
  return Array.from({ length: LEVELS }, (_, level) => context.getImageData(level, 0, 1, 1).data);
}

const drawSpectrum = oncePerFrame(() => {
  if (!spectrum) return;
  const { from, to } = view(), seconds = data.spectrogram.column_s;
  const { context, width, height } = prepared($("spectrum"));
  context.imageSmoothingEnabled = (to - from) / seconds > width / 4;
  context.drawImage(spectrum, from / seconds, 0, (to - from) / seconds, spectrum.height, 0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.strokeStyle = ink.card;
  context.fillStyle = ink.ink;
  for (const [text, share] of [["8 kHz", 0], ["4 kHz", 0.223], ["1 kHz", 0.669]]) {
    const y = Math.min(Math.max(share * height, 7), height - 7);
    context.strokeText(text, 3, y);
    context.fillText(text, 3, y);
  }
});

// --------------------------------------------------------------------------------- zoom

let zoom = 1;

function drawAll() {
  drawMarks();
  drawRuler();
  drawSpectrum();
}

function zoomBy(factor) {
  const width = $("wave").clientWidth;
  const most = Math.max(1, SHARPEST_PX / width, Math.min(total / CLOSEST_S, WIDEST_PX / width));
  zoom = Math.min(most, Math.max(1, zoom * factor));
  if (isReady) wave.zoom(zoom === 1 ? 0 : (zoom * width) / total);
  drawAll();
  $("wider").disabled = zoom >= most;
  $("narrower").disabled = zoom === 1;
}

wave.on("scroll", drawAll);
wave.on("redraw", drawAll);
wave.on("resize", drawAll);
