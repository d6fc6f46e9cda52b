// A case: its promise, its history over the kernels, and what happened on the one that is chosen.

function caseView(book, id, label) {
  const one = book.byId.get(id);
  if (!one) return missing(`There is no case ${id}.`);
  const at = chosen(book, one, label);
  const cell = at === null ? null : cellOf(book, one, at);
  const column = book.columns[at];
  return {
    title: id,
    parts: [
      make("h2", { tabindex: "-1" }, breakable(id)),
      promise(book.rules[one.rule]),
      make("h3", {}, "History"),
      ...turned(book, one),
      past(book, one, at),
      ...(cell ? onKernel(book, one, column, cell) : []),
    ],
  };
}

// The kernel that was asked for, or the newest on which the case is bad, or the newest with it.
function chosen(book, one, label) {
  if (book.byLabel.has(label) && one.cells[book.byLabel.get(label)]) return book.byLabel.get(label);
  const run = book.columns.map((_, at) => at).filter((at) => one.cells[at]);
  return run.findLast((at) => isBad(one.cells[at][0])) ?? run.findLast((at) => one.cells[at][0] === "known") ?? run.at(-1) ?? null;
}

function list(pairs) {
  return make("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function promise(rule) {
  if (!rule) return make("p", { class: "dim" }, "The events do not tell its rule.");
  return list([
    ["promise", rule.promise],
    ["source", `${rule.source} (${rule.strength})`],
    ["article", rule.article.join(", ")],
    ["needs", rule.needs.join(", ")],
  ]);
}

// Between which kernels the case turned, and the package search that narrows it down.
function turned(book, one) {
  const seen = one.cells.some((cell) => cell && isBad(cell[0]));
  if (!one.turns.length) {
    return seen ? [make("p", {}, "No kernel of this run shows where it began.")] : [];
  }
  return one.turns.map(([before, after, isBadNow]) => {
    const [was, is] = [book.columns[before], book.columns[after]];
    const [good, bad] = isBadNow ? [was, is] : [is, was];
    const words = isBadNow ? ["last good ", was, ", first bad ", is] : ["last bad ", was, ", first good ", is];
    const named = words.map((word) => (typeof word === "string" ? word : make("b", {}, word.label)));
    const search = isPackaged(good) && isPackaged(bad) ? `hairpin bisect --good ${quoted(good.guest.kernel)} --bad ${quoted(bad.guest.kernel)} ${quoted(one.id)}` : null;
    return make("div", {}, make("p", {}, named), search ? command(search) : null);
  });
}

// What looks between two packages knows nothing of a driver that was put in by hand.
const isPackaged = ({ guest }) => Boolean(guest) && !(guest.options ?? []).includes("--module");

function past(book, one, at) {
  const rows = book.columns.map((column, place) => {
    const cell = cellOf(book, one, place);
    const name = cell ? make("a", { href: caseAddress(one.id, column.label) }, column.label) : column.label;
    return [name, verdict(cell), cell ? took(cell) : "", cell?.reason ?? ""];
  });
  const made = table("history over the kernels", ["kernel", "outcome", "took", "reason"], rows);
  made.querySelectorAll("tbody tr")[at]?.setAttribute("aria-current", "true");
  return made;
}

function onKernel(book, one, column, cell) {
  const story = cell.story.map((event) => happening(book, event));
  return [
    make("h3", {}, "On ", make("a", { href: kernelAddress(column.label) }, column.label), ": ", verdict(cell)),
    cell.reason ? make("p", {}, cell.reason) : null,
    make("p", {}, "rerun"), command(rerun(column, one.id)),
    story.length ? make("ol", { class: "story" }, story) : make("p", { class: "dim" }, "The case told nothing."),
    ...printed("Output, its end", cell.output),
    ...printed("Console, its end", cell.console),
  ].filter(Boolean);
}

const printed = (name, text) =>
  text === null ? [] : [make("h3", {}, name), make("pre", { tabindex: "0", role: "region", "aria-label": name }, text)];

// As a shell takes it. Ids and kernels need no quotes, unless somebody made them up.
const quoted = (word) => (/^[\w.\/:+-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`);

// An option that was given is one, and its value may be anything.
const said = (word, at) => (at % 2 === 0 && /^--[a-z-]+$/.test(word) ? word : quoted(word));

const command = (text) => make("pre", { class: "command", tabindex: "0" }, text);

function rerun(column, id) {
  const { guest } = column;
  const on = guest ? ["--kernel", quoted(guest.kernel), ...(guest.options ?? []).map(said)] : [];
  return ["hairpin check", ...on, quoted(id)].join(" ");
}

function happening(book, event) {
  if (!Array.isArray(event)) {
    return make("li", { class: event.agrees ? null : "wrong" }, gridView(book, event));
  }
  const [kind, ...told] = event;
  const [first, second] = told;
  if (kind === "lab") return make("li", {}, lab(book.labs[first]));
  if (kind === "flow") return make("li", {}, flowView(book, told));
  if (kind === "step") return make("li", {}, "step: ", make("code", {}, first));
  return second === null ? make("li", {}, `holds: ${first}`)
    : make("li", { class: "wrong" }, make("b", { class: "o-fail" }, "does not hold"), `: ${first}: ${second}`);
}

// The picture is our own making: the report drew it, and took from events only text, escaped.
function lab(value) {
  if (!value.svg) return [make("div", {}, "wiring"), make("pre", { tabindex: "0" }, value.text)];
  const picture = make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": `wiring of ${value.name}` });
  const parsed = new DOMParser().parseFromString(value.svg, "image/svg+xml").documentElement;
  picture.append(document.importNode(parsed, true));
  return [make("div", {}, "wiring"), picture,
    make("details", {}, make("summary", {}, "as text"), make("pre", { tabindex: "0" }, value.text))];
}

const missing = (words) => ({ title: "not found", parts: [make("h2", { tabindex: "-1" }, words)] });
