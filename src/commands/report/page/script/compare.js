// Two runs held against each other: of one kernel each, or all kernels that both have.

const LISTS = [
  ["worse", "Got worse"],
  ["better", "Got better"],
  ["changed", "Changed otherwise"],
  ["new", "New"],
  ["gone", "Gone"],
];

function compareView(book, names) {
  const sides = choices(book);
  const [a, b] = names.map((name) => sides.find((side) => side.name === name));
  const [first, second] = [a ?? sides[0], b ?? sides.find((side) => side.isRun && side !== sides[0]) ?? sides.at(-1)];
  if (!first) return missing("There is nothing to compare: no case was run.");
  const found = compare(book, first, second);
  return {
    title: `${first.name} and ${second.name}`,
    parts: [
      make("h2", { tabindex: "-1" }, `${first.name} and ${second.name} compared`),
      chooser(sides, first, second),
      ...summary(found),
      ...LISTS.flatMap(([key, title]) => changes(title, found[key])),
      ...costsCompared(book, pairs(book, first, second).map((pair) => pair.map((at) => book.columns[at].kernel))),
    ],
  };
}

// Whole runs first, if there are several; then each kernel of each.
function choices(book) {
  const runs = book.runs.length > 1 ? book.runs.map((name, at) => ({
    name, isRun: true, columns: book.columns.flatMap((column, place) => (column.run === at ? [place] : [])),
  })) : [];
  return runs.concat(book.columns.map((column, at) => ({ name: column.label, isRun: false, columns: [at] })));
}

function chooser(sides, first, second) {
  const select = (id, name, chosen) => make("label", {}, `${name} `, make("select", { id },
    sides.map((side) => make("option", { value: side.name, selected: side === chosen ? "" : null }, side.name))));
  const go = (event) => {
    event.preventDefault();
    location.hash = `#compare=${[byId("compare-a"), byId("compare-b")].map((one) => encodeURIComponent(one.value)).join(",")}`;
  };
  return make("form", { class: "row", submit: go },
    select("compare-a", "before", first), select("compare-b", "now", second), make("button", {}, "compare"));
}

// Pairs of kernels: the only ones, or those of one name.
function pairs(book, first, second) {
  if (!first.isRun && !second.isRun) return [[first.columns[0], second.columns[0]]];
  return second.columns.flatMap((now) => {
    const before = first.columns.find((at) => book.columns[at].name === book.columns[now].name);
    return before === undefined ? [] : [[before, now]];
  });
}

function compare(book, first, second) {
  const found = { worse: [], better: [], changed: [], new: [], gone: [], alike: 0, kernels: 0 };
  for (const [before, now] of pairs(book, first, second)) {
    found.kernels += 1;
    for (const one of book.cases) {
      const kind = change(one.cells[before]?.[0], one.cells[now]?.[0]);
      if (kind === "alike") found.alike += 1;
      else if (kind) found[kind].push([one, before, now]);
    }
  }
  const row = ([one, before, now]) => {
    const [was, is] = [cellOf(book, one, before), cellOf(book, one, now)];
    const column = book.columns[is ? now : before];
    return [caseLink(one.id, column.label), column.label, verdict(was), verdict(is), is?.reason ?? was?.reason ?? ""];
  };
  for (const [key] of LISTS) found[key] = found[key].map(row);
  return found;
}

// The same words as `hairpin matrix --baseline` goes by: a case that is new and bad got worse.
function change(was, is) {
  if (was === undefined && is === undefined) return null;
  if (is === undefined) return "gone";
  if (isBad(is) && (was === undefined || RANK[is] > RANK[was])) return "worse";
  if (was === undefined) return "new";
  if (isBad(was) && !isBad(is)) return "better";
  return was === is ? "alike" : "changed";
}

function summary(found) {
  if (found.kernels === 0) return [make("p", {}, "They have no kernel in common.")];
  const parts = LISTS.filter(([key]) => found[key].length).map(([key, title]) => `${title.toLowerCase()}: ${found[key].length}`);
  const text = `On ${counted(found.kernels, "kernel")}: ` + [...parts, `alike: ${found.alike}`].join(", ");
  return [make("p", { role: "status" }, text)];
}

function changes(title, rows) {
  if (!rows.length) return [];
  return [make("h3", {}, title), table(title, ["case", "kernel", "before", "now", "reason"], rows)];
}
