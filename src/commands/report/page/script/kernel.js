// A kernel: what it was, and every case that did not simply pass on it.

const SLOWEST = 10;

function kernelView(book, label) {
  const at = book.byLabel.get(label);
  if (at === undefined) return measuredOnly(book, label);
  const column = book.columns[at];
  const cells = book.cases.map((one) => [one.id, cellOf(book, one, at)]).filter(([, cell]) => cell);
  const odd = cells.filter(([, cell]) => cell.word !== "pass" || cell.times < cell.runs)
    .sort((a, b) => RANK[b[1].word] - RANK[a[1].word]);
  const isSkip = ([, cell]) => cell.word === "skip" && cell.times === cell.runs;
  const told = odd.filter((one) => !isSkip(one));
  const slow = [...cells].sort((a, b) => b[1].us - a[1].us).slice(0, SLOWEST);
  return {
    title: `kernel ${label}`,
    parts: [
      make("h2", { tabindex: "-1" }, `Kernel ${label}`),
      list(facts(column, cells)),
      make("h3", {}, "Not simply passed"),
      told.length ? table("cases that did not simply pass", ["case", "outcome", "reason"],
        told.map(([id, cell]) => [caseLink(id, label), verdict(cell), cell.reason ?? ""])) : make("p", {}, "Every case that was run passed."),
      ...costsOn(book, column.kernel),
      make("h3", {}, "Slowest"),
      table("slowest cases", ["case", "took", "outcome"],
        slow.map(([id, cell]) => [caseLink(id, label), took(cell), verdict(cell)])),
      ...skipped(label, odd.filter(isSkip)),
    ],
  };
}

// There may be hundreds, and they say little: folded, so that the rest is not far below.
function skipped(label, cells) {
  if (!cells.length) return [];
  const rows = cells.map(([id, cell]) => [caseLink(id, label), cell.reason ?? ""]);
  return [make("details", {}, make("summary", {}, make("h3", {}, `${counted(cells.length, "case")} skipped`)),
    table("skipped cases", ["case", "missing"], rows))];
}

// A kernel of which no case was run.
function measuredOnly(book, kernel) {
  const costs = costsOn(book, kernel);
  if (!costs.length) return missing(`There is no kernel ${kernel}.`);
  const titles = new Set(costsOf(book, kernel).map(({ guest }) => guest?.title));
  return {
    title: `kernel ${kernel}`,
    parts: [make("h2", { tabindex: "-1" }, `Kernel ${kernel}`), list([["package", [...titles].filter(Boolean).join(", ")]]), ...costs],
  };
}

function facts(column, cells) {
  const counts = new Map();
  for (const [, cell] of cells) counts.set(cell.word, (counts.get(cell.word) ?? 0) + 1);
  const outcomes = [...counts].sort((a, b) => RANK[a[0]] - RANK[b[0]]).map(([word, n]) => `${n} ${word}`).join(", ");
  const guest = column.guest;
  return [
    ["release", column.kernel],
    ["outcomes", outcomes + (column.whole ? "" : "; the run was cut short")],
    ["ran on", guest ? null : "the machine itself"],
    ["package", guest?.title],
    ["guest", guest ? `${guest.accel}, ${guest.profile}, ${guest.memory_mib} MiB, ready in ${(guest.boot_ms / 1000).toFixed(1)} s, ${guest.rehearsed ? `copied for each case from one that had run ${guest.rehearsed.join(", ")}` : guest.woken ? "woken for each case" : "booted for each case"}${guest.seed === undefined ? "" : `, seed ${guest.seed}`}` : null],
    ["asked for", guest?.options?.length ? make("code", {}, guest.options.map(said).join(" ")) : null],
    ["notes", guest?.notes?.length ? guest.notes.join(" ") : null],
  ];
}
