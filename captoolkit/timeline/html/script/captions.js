// The list of captions: what is in view, search, filter. A row gets its times, marks and buttons when
// it comes into view.

const MARGIN_PX = 600; // rows this far outside the window count as in view
const hitCounts = new Uint32Array(rows.length);
const refreshedForm = rows.map(() => "clock"); // the form in which the page is written
let shownRows = rows.map((_, at) => at);

const textOf = (at) => rows[at].querySelector(".said");
const captionTexts = rows.map(() => null); // what the search reads, as one text for each row

function captionText(at) {
  return (captionTexts[at] ??= [...textOf(at).querySelectorAll("p")].map((line) => line.textContent).join("\n"));
}

// Neighbouring rows lie in a list of their own, which the browser lays out only near the window. So
// a place in a list that is far away is not measured: it would have to be laid out.
const chunks = [...document.querySelectorAll(".chunk")].map((list) => ({ list, rows: [] }));
const chunkOf = new Map(chunks.map((chunk) => [chunk.list, chunk]));
rows.forEach((row, at) => chunkOf.get(row.parentNode).rows.push(at));
const ROW_REM = 5; // the usual height of a row, for lists that were never laid out

function firstBelow(elements, edge) {
  let low = 0, high = elements.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (elements[middle].getBoundingClientRect().bottom < edge) low = middle + 1; else high = middle;
  }
  return low;
}

// The rows in view, by their places in `rows`. Lists and rows are in order: halving finds the first.
function rowsInView() {
  const inView = [], shown = chunks.filter(({ list }) => !list.hidden);
  for (let at = firstBelow(shown.map(({ list }) => list), 0); at < shown.length; at++) {
    if (shown[at].list.getBoundingClientRect().top > innerHeight) break;
    const inList = shown[at].rows.filter((row) => !rows[row].hidden);
    for (let which = firstBelow(inList.map((row) => rows[row]), -MARGIN_PX); which < inList.length; which++) {
      if (rows[inList[which]].getBoundingClientRect().top > innerHeight + MARGIN_PX) break;
      inView.push(inList[which]);
    }
  }
  return inView;
}

const refreshRows = oncePerFrame(() => {
  const marks = [];
  for (const at of rowsInView()) {
    refreshRow(at);
    if (pattern && hitCounts[at]) marks.push(...rangesIn(textOf(at)));
  }
  if (window.Highlight) CSS.highlights.set("hit", new Highlight(...marks));
});

function refreshRow(at) {
  const row = rows[at];
  if (refreshedForm[at] !== form) {
    const [start, end] = row.querySelectorAll("time");
    start.textContent = FORMS[form](data.starts[at]);
    end.textContent = FORMS[form](data.ends[at]);
    refreshedForm[at] = form;
  }
  row.classList.toggle("hit", hitCounts[at] > 0);
  if (!row.querySelector(".actions")) row.append($("actions").content.cloneNode(true));
}

addEventListener("scroll", refreshRows, { passive: true });
addEventListener("resize", refreshRows);
document.addEventListener("toggle", refreshRows, true);
addEventListener("beforeprint", () => { rows.forEach((_, at) => refreshRow(at)); });

// -------------------------------------------------------------------------------- search

let found = [], chosen = -1, waiting = 0, searched = "", pattern = null;

// Scripts that write no spaces: there a hit may begin anywhere.
const SPACELESS = /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}]/u;

// A hit begins where a word begins, unless parts of words are wanted.
function patternOf(wanted) {
  if (!wanted) return null;
  const escaped = wanted.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replace(/\s+/g, "\\s+");
  const isWord = /^[\p{L}\p{N}]/u.test(wanted) && !SPACELESS.test(wanted[0]) && !$("parts").checked;
  // The letter before is looked at after the words match, because it is slow at each letter.
  return new RegExp(escaped + (isWord ? `(?<![\\p{L}\\p{N}\\p{M}]${escaped})` : ""), "giu");
}

function search() {
  searched = $("query").value;
  pattern = patternOf(searched.trim());
  found = [];
  chosen = -1;
  let number = 0;
  for (let at = 0; at < rows.length; at++) {
    hitCounts[at] = pattern ? (captionText(at).match(pattern)?.length ?? 0) : 0;
    number += hitCounts[at];
    if (hitCounts[at]) found.push(at);
  }
  if ($("hits-only").checked || isHitsOnly) filterRows(); else refreshRows();
  drawMarks();
  $("hits-only").disabled = !pattern && !$("hits-only").checked;
  $("hit-before").disabled = $("hit-after").disabled = !found.length;
  showHits(number);
}

function rangesIn(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), ranges = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("summary")) continue;
    for (const hit of node.data.matchAll(pattern)) {
      const range = new Range();
      range.setStart(node, hit.index);
      range.setEnd(node, hit.index + hit[0].length);
      ranges.push(range);
    }
  }
  return ranges;
}

// Reading all captions takes a while for thousands of them, so it happens before the first search.
const IDLE_ROWS = 200;

function readAhead(from) {
  for (let at = from; at < Math.min(from + IDLE_ROWS, rows.length); at++) captionText(at);
  if (from + IDLE_ROWS < rows.length) idle(() => readAhead(from + IDLE_ROWS));
}

const idle = window.requestIdleCallback ?? ((act) => setTimeout(act, 50));
idle(() => readAhead(0));

function showHits(number) {
  const hits = `${number} ${number === 1 ? "hit" : "hits"}`;
  const captions = `${found.length} ${found.length === 1 ? "caption" : "captions"}`;
  $("hits").textContent = !pattern ? "" : number ? `${hits} in ${captions}` : "no hits";
}

function stepHit(by) {
  if (!found.length) return;
  if (chosen < 0) {
    const after = found.findIndex((at) => starts[at] >= now);
    chosen = by > 0 ? Math.max(after, 0) : (after < 0 ? found.length : after) - 1;
  } else chosen += by;
  chosen = (chosen + found.length) % found.length;
  const row = rows[found[chosen]], figures = row.querySelector("details");
  if (row.hidden) { $("show").value = "all"; filterRows(); }
  // A hit that is only in the folded figures is unfolded.
  if (figures && ![...textOf(found[chosen]).querySelectorAll(":scope > p")].some((line) => line.textContent.match(pattern))) {
    figures.open = true;
  }
  go(starts[found[chosen]]);
}

// -------------------------------------------------------------------------------- filter

const SHOWN = {
  all: () => true,
  ok: (at) => statuses[at] === "ok",
  failed: (at) => statuses[at] === "failed",
  silent: (at) => statuses[at] === "silent",
  edited: (at) => rows[at].classList.contains("edited"),
};

let isHitsOnly = false;

function filterRows() {
  const isShown = SHOWN[$("show").value];
  isHitsOnly = $("hits-only").checked && pattern !== null;
  shownRows = [];
  rows.forEach((row, at) => {
    const hidden = !isShown(at) || (isHitsOnly && !hitCounts[at]);
    if (row.hidden !== hidden) row.hidden = hidden;
    if (!hidden) shownRows.push(at);
  });
  for (const chunk of chunks) {
    const number = chunk.rows.filter((at) => !rows[at].hidden).length;
    chunk.list.hidden = !number;
    chunk.list.style.containIntrinsicBlockSize = `${number < chunk.rows.length ? "" : "auto "}${number * ROW_REM}rem`;
  }
  const all = shownRows.length === rows.length;
  $("shown").textContent = all ? "" : `${shownRows.length} of ${rows.length} shown`;
  refreshRows();
}

// The number of entries of each kind stands in the options of the filter and in the legend.
function countKinds() {
  for (const item of document.querySelectorAll(".legend [data-label]")) {
    item.textContent = `${statuses.filter((status) => item.classList.contains(status)).length} ${item.dataset.label}`;
  }
  for (const option of $("show").options) {
    const number = rows.filter((_, at) => SHOWN[option.value](at)).length;
    option.textContent = `${option.dataset.label} (${number})`;
    option.hidden = option.disabled = !number && option.value !== "all" && option.value !== $("show").value;
  }
  $("hole").hidden = !statuses.includes("failed");
}
