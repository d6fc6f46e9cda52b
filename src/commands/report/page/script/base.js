// What the rest is built from: elements, the details, and how they are read.

const byId = (id) => document.getElementById(id);

// An element. What is given as text stays text, wherever it came from.
function make(name, attributes, ...inner) {
  return filled(document.createElement(name), attributes, inner);
}

function drawn(name, attributes, ...inner) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, inner);
}

function filled(element, attributes, inner) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...inner.flat(Infinity).filter((part) => part !== null && part !== undefined));
  return element;
}

const counted = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;

// An id that may be broken after dots and dashes.
function breakable(id) {
  return id.split(/(?<=[.-])/).flatMap((part) => [part, make("wbr")]);
}

// The details, unpacked when they are first asked for.
let unpacked;
function details() {
  unpacked ??= unpack(byId("details").textContent.trim());
  return unpacked;
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const book = JSON.parse(await new Response(stream).text());
  book.byId = new Map(book.cases.map((one) => [one.id, one]));
  book.byLabel = new Map(book.columns.map((column, at) => [column.label, at]));
  return book;
}

// A case on one kernel; nothing if it was not run there.
function cellOf(book, one, at) {
  const cell = one.cells[at];
  if (!cell) return null;
  const [word, times, runs, us, reason, story, output, console] = cell;
  const printed = (place) => (place === null ? null : book.printed[place]);
  return {
    word, times, runs, us,
    reason: reason === null ? null : book.reasons[reason],
    story: story === null ? [] : book.stories[story],
    output: printed(output),
    console: printed(console),
  };
}

const isBad = (word) => BAD.includes(word);

// A word in its colour; with how often, for what is flaky.
function verdict(cell) {
  if (!cell) return make("span", { class: "o-none" }, "not run");
  const times = cell.times < cell.runs ? ` ${cell.times} of ${cell.runs} times` : "";
  return make("b", { class: `o-${cell.word}` }, cell.word + times);
}

const caseAddress = (id, label) =>
  `#case=${encodeURIComponent(id)}` + (label === undefined ? "" : `&on=${encodeURIComponent(label)}`);
const kernelAddress = (label) => `#kernel=${encodeURIComponent(label)}`;

function caseLink(id, label) {
  return make("a", { href: caseAddress(id, label) }, breakable(id));
}

const took = ({ us }) => make("span", { class: "took" }, `${(us / 1000).toFixed(us < 100000 ? 1 : 0)} ms`);

// A table with its heads; rows are lists of cells, of which the first is the row's head.
function table(label, heads, rows) {
  const head = make("tr", {}, heads.map((name) => make("th", { scope: "col" }, name)));
  const line = ([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), rest.map((cell) => make("td", {}, cell)));
  return make("div", { class: "wide", role: "region", "aria-label": label, tabindex: "0" },
    make("table", {}, make("thead", {}, head), make("tbody", {}, rows.map(line))));
}
