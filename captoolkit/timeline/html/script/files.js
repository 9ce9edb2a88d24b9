// The captions as text, SRT and WebVTT, of all entries or of those that the filter shows. The rules are
// those of captoolkit's own formats (timeline/cues.py, breaking.py, srt.py, vtt.py, text.py); the tests
// compare the results.

function linesOf(paragraph) {
  const lines = [""];
  for (const node of paragraph.childNodes) {
    if (node.nodeName === "BR") lines.push(""); else lines[lines.length - 1] += node.data;
  }
  return lines;
}

const paragraphsOf = (at, selector) => [...textOf(at).querySelectorAll(selector)].map(linesOf);

// Start and end of each chosen entry in milliseconds; each lasts at least one, none overlaps.
function* cuesOf(chosenRows) {
  const ticks = (samples) => Math.floor((2000 * samples + data.rate_hz) / (2 * data.rate_hz));
  let reached = 0;
  for (const at of chosenRows) {
    const start = Math.max(reached, ticks(data.starts[at]));
    reached = Math.max(start + 1, ticks(data.ends[at]));
    yield { at, start, end: reached };
  }
}

function timestamp(time_ms, mark) {
  const seconds = Math.floor(time_ms / 1000), rest = String(time_ms % 1000).padStart(3, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${mark}${rest}`;
}

// ------------------------------------------------------------------ lines of subtitles

const LINE_COLUMNS = 42;
const WIDE = /[\u1100-\u115F\u231A\u231B\u2329\u232A\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97C\uAC00-\uD7A3\uF900-\uFAFF\uFE10-\uFE19\uFE30-\uFE6B\uFF01-\uFF60\uFFE0-\uFFE6\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FB}\u{20000}-\u{3FFFD}]|\p{Emoji_Presentation}/u;
const CLOSING = new Set("、。，．：；！？）」』】》〉〕”’…—～%℃·"), OPENING = new Set("（「『【《〈〔“‘");

const widthOf = (letter) => (/[\p{Mn}\p{Me}\p{Cf}]/u.test(letter) ? 0 : WIDE.test(letter) ? 2 : 1);
const columns = (text) => [...text].reduce((sum, letter) => sum + widthOf(letter), 0);

function mayBreak(before, after) {
  if (after === " ") return false;
  if (before === " ") return true;
  const [one, other] = [widthOf(before), widthOf(after)];
  if (OPENING.has(before) || CLOSING.has(after) || !one || !other) return false;
  return (one === 2 || other === 2) && (!CLOSING.has(before) || other === 2 || /[\p{L}\p{N}]/u.test(after));
}

const NUMBER = /^[(\[]?[-+−~≈]?\p{Nd}[\p{Nd}.,:/]* *$/u;
const UNITS = new Set("Hz kHz MHz dB dBFS dBTP LU LUFS s ms min h % ° °C °F m cm mm km km/h mph bpm BPM fps kbit/s MB kB".split(" "));
const isUnit = (chunk) => UNITS.has(chunk.replace(/ +$/, "").replace(/[.,;:!?)\]]+$/, ""));

function wrapped(line) {
  if (columns(line) <= LINE_COLUMNS) return [line];
  const letters = [...line], lines = [];
  let parts = [], filled = 0, chunk = letters[0];
  const put = () => {
    const size = columns(chunk.replace(/ +$/, ""));
    if (parts.length && filled + size > LINE_COLUMNS) {
      const last = parts[parts.length - 1];
      const keeps = parts.length > 1 && isUnit(chunk) && NUMBER.test(last) && columns(last) + size <= LINE_COLUMNS;
      const kept = keeps ? parts.splice(-1) : [];
      lines.push(parts.join("").replace(/ +$/, ""));
      parts = kept;
      filled = kept.reduce((sum, part) => sum + columns(part), 0);
    }
    parts.push(chunk);
    filled += columns(chunk);
  };
  for (let place = 1; place < letters.length; place++) {
    if (mayBreak(letters[place - 1], letters[place])) { put(); chunk = ""; }
    chunk += letters[place];
  }
  put();
  return [...lines, parts.join("").replace(/ +$/, "")];
}

function cueLines(at) {
  const lines = [];
  for (const line of paragraphsOf(at, ":scope > p").flat().flatMap(wrapped)) {
    if (lines.length && /^-?\p{Nd}+\.?\p{Nd}*$/u.test(line)) lines[lines.length - 1] += ` ${line}`;
    else lines.push(line);
  }
  return lines;
}

// A line with two times would be read as the times of a cue.
function oneTimePerLine(line) {
  const edges = [...line.matchAll(/\p{Nd}{1,2}:\p{Nd}{1,2}:\p{Nd}{1,2}[.,]\p{Nd}{1,3}/gu)].slice(1).map((time) => time.index);
  return [0, ...edges].map((edge, which) => line.slice(edge, edges[which]).trim()).join("\n");
}

const TWINS = { "<": "＜", ">": "＞", "{": "｛", "}": "｝", "\\": "＼" };
const withoutMarkup = (line) =>
  line.replace(/-->|<(?=\s*\/?\s*[A-Za-z])|[{}]|\\(?=[Nnh])/g, (markup) => markup.replace(/[<>{}\\]/g, (letter) => TWINS[letter]));
const escaped = (line) => line.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// ----------------------------------------------------------------------------- formats

const FILES = {
  txt: (chosenRows) => [...cuesOf(chosenRows)].map(({ at, start, end }) => {
    const text = paragraphsOf(at, "p").map((lines) => lines.join("\n")).join("\n\n");
    return `[${clock(start / 1000, 3)} - ${clock(end / 1000, 3)}]\n${text}\n`;
  }).join("\n"),
  srt: (chosenRows) => [...cuesOf(chosenRows)].map(({ at, start, end }, which) => [
    which + 1,
    `${timestamp(start, ",")} --> ${timestamp(end, ",")}`,
    ...cueLines(at).map((line) => oneTimePerLine(withoutMarkup(line))),
    "",
  ].join("\n")).join("\n"),
  vtt: (chosenRows) => [
    "WEBVTT\n",
    ...data.notes.map((note) => `NOTE ${escaped(note)}\n`),
    ...[...cuesOf(chosenRows)].map(({ at, start, end }, which) => [
      which + 1,
      `${timestamp(start, ".")} --> ${timestamp(end, ".")}`,
      ...cueLines(at).map((line) => escaped(oneTimePerLine(line))),
      "",
    ].join("\n")),
  ].join("\n"),
};
const KINDS = { txt: "text/plain", srt: "application/x-subrip", vtt: "text/vtt", json: "application/json" };

function download(text, extension) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: `${KINDS[extension]};charset=utf-8` }));
  link.download = `${data.stem}.${extension}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const chosenFormat = () => FILES[$("format").value](shownRows);

async function copyCaptions() {
  if (await copy(chosenFormat())) notice(`${shownRows.length} ${shownRows.length === 1 ? "caption" : "captions"} copied`);
}

const downloadCaptions = () => download(chosenFormat(), $("format").value);
