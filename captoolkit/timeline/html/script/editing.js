// Captions that the reader changes on the page. Nothing is sent and nothing is kept: the timeline
// with the changes is saved as a file.

const originals = new Map(); // the rows that were changed: their texts and statuses before
const textIn = (at) => paragraphsOf(at, ":scope > p").map((lines) => lines.join("\n")).join("\n\n");

// The text without the marker of a missing or empty caption.
function editableText(at) {
  const text = textIn(at), isMarked = statuses[at] !== "ok" || text === "[empty caption]";
  return isMarked ? text.split("\n\n").slice(1).join("\n\n") : text;
}

function edit(at) {
  const row = rows[at];
  if (!row || row.classList.contains("editing")) return;
  const text = editableText(at), form = $("editor").content.cloneNode(true).firstElementChild;
  const area = form.querySelector("textarea");
  area.value = text;
  area.setAttribute("aria-label", `Caption ${row.querySelector(".number").textContent}`);
  const close = () => { form.remove(); row.classList.remove("editing"); row.querySelector(".edit")?.focus(); refreshRows(); };
  const save = () => { if (area.value !== text) change(at, area.value); close(); };
  form.querySelector(".save").addEventListener("click", save);
  form.querySelector(".cancel").addEventListener("click", close);
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  area.addEventListener("input", () => fit(area));
  row.classList.add("editing");
  row.querySelector(".said").prepend(form);
  area.focus();
  fit(area);
}

function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

// Control characters and lone halves of characters become U+FFFD, as in captoolkit's own pages.
function plain(text) {
  return text.replace(/\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]/g, "\n").replace(/\t/g, " ").replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]/g, "\ufffd").toWellFormed();
}

function change(at, text) {
  const isEdited = rows[at].classList.contains("edited"); // by an earlier page
  const before = originals.get(at) ?? { text: textIn(at), status: statuses[at], paragraphs: paragraphsIn(at), isEdited };
  if (text === before.text && before.status === "ok") return revert(at);
  originals.set(at, { ...before, changed: text });
  setStatus(at, "ok");
  show(at, plain(text).split(/\n[ ]*\n+/).map((one) => one.split("\n").map((line) => line.trim()).filter(Boolean)).filter((lines) => lines.length));
  mark(at, true);
}

function revert(at) {
  const before = originals.get(at);
  if (!before) return;
  originals.delete(at);
  setStatus(at, before.status);
  paragraphsIn(at).forEach((paragraph) => paragraph.remove());
  textOf(at).prepend(...before.paragraphs);
  mark(at, before.isEdited);
}

const paragraphsIn = (at) => [...textOf(at).querySelectorAll(":scope > p")];

function show(at, paragraphs) {
  paragraphsIn(at).forEach((paragraph) => paragraph.remove());
  textOf(at).prepend(...(paragraphs.length ? paragraphs : [["[empty caption]"]]).map((lines) => {
    const paragraph = document.createElement("p");
    paragraph.dir = "auto";
    lines.forEach((line, which) => paragraph.append(...(which ? [document.createElement("br"), line] : [line])));
    return paragraph;
  }));
}

function setStatus(at, status) {
  rows[at].classList.replace(statuses[at], status);
  statuses[at] = status;
}

function mark(at, isEdited) {
  rows[at].classList.toggle("edited", isEdited);
  rows[at].querySelector(".revert").hidden = !originals.has(at);
  captionTexts[at] = null;
  countKinds();
  $("unsaved").hidden = !originals.size;
  $("changes").textContent = `${originals.size} changed`;
  isSaved = !originals.size;
  if (pattern) search(); else { refreshRows(); drawMarks(); }
}

// ------------------------------------------------------------------ the timeline as a file

let isSaved = true;

// Where the objects of the list `entries` begin and end in the text of a timeline.
function entryPlaces(text) {
  const places = [], tokens = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  let depth = 0, inList = false, start = 0;
  for (const { 0: token, index } of text.matchAll(tokens)) {
    if (token === "{" || token === "[") {
      if (inList && depth === 2) start = index;
      depth += 1;
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (inList && depth === 2) places.push([start, index + 1]);
      if (inList && depth === 1) return places;
    } else if (depth === 1 && token === '"entries"' && text[index + token.length] === ":") inList = true;
  }
  return places;
}

const STRING = /"(?:[^"\\]|\\.)*"/.source;

function withChange(entry, text) {
  const written = JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const put = (name, old, value) => { entry = entry.replace(new RegExp(`"${name}": (?:${old})`), () => `"${name}": ${value}`); };
  put("error", `null|${STRING}`, "null");
  put("status", STRING, '"ok"');
  put("text", STRING, /"is_edited": true/.test(entry) ? written : `${written}, "is_edited": true`);
  return entry;
}

// Only the changed entries differ from the timeline that the page was made from.
async function timelineText() {
  const text = new TextDecoder().decode(await inflated(data.timeline));
  let reached = 0, changed = "";
  entryPlaces(text).forEach(([start, end], at) => {
    const edited = originals.get(at);
    if (!edited) return;
    changed += text.slice(reached, start) + withChange(text.slice(start, end), edited.changed);
    reached = end;
  });
  return changed + text.slice(reached);
}

async function saveTimeline() {
  download(await timelineText(), "json");
  isSaved = true;
  notice("The timeline is in the browser’s downloads");
}

addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });
