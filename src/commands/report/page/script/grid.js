// Grids: what was drawn beside what was seen, and the journey of the pair that is chosen.

const tone = (symbol) =>
  symbol === "+" ? "g-yes" : symbol === "#" ? "g-no" : symbol === "?" ? "g-unsure" : symbol === "." ? "o-none" : "g-odd";

function cellAt(book, grid, from, to) {
  const place = grid.cells[from]?.[to];
  return place === undefined ? null : passage(book, place);
}

function passage(book, place) {
  const [symbol, words, proof, way, overheard, ttl, dropped] = book.cells[place];
  return { symbol, words, proof, way: way === null ? [] : book.ways[way], overheard, ttl, dropped };
}

// The symbol that the drawing has there, if it is a drawing of these hosts.
const drawnAt = (grid, from, to) => (Array.isArray(grid.expected) ? [...grid.expected[from]][to] : undefined);

function gridTable(name, hosts, cell) {
  const head = make("tr", {}, make("td", {}), hosts.map((host) => make("th", { scope: "col" }, host)));
  const rows = hosts.map((host, from) =>
    make("tr", {}, make("th", { scope: "row" }, host), hosts.map((_, to) => cell(from, to))));
  return make("div", { class: "wide" },
    make("table", { class: "grid" }, make("caption", {}, name), make("thead", {}, head), make("tbody", {}, rows)));
}

function expectedTable(grid) {
  if (!Array.isArray(grid.expected)) return make("pre", { tabindex: "0" }, grid.expected);
  return gridTable("expected", grid.hosts, (from, to) => {
    const symbol = drawnAt(grid, from, to);
    return make("td", { class: tone(symbol) }, symbol);
  });
}

// A grid of the story. Pairs are buttons: the one that is pressed has its journey told below.
function gridView(book, grid) {
  // Which pair is told aloud when it is chosen; its journey is there to be read.
  const headline = make("p", { role: "status" });
  const hops = make("div");
  const below = make("div", { class: "journey", role: "group" }, headline, hops);
  const pairs = new Map();
  const choose = (from, to) => {
    for (const [key, pair] of pairs) pair.setAttribute("aria-pressed", String(key === `${from} ${to}`));
    const [a, b] = [grid.hosts[from], grid.hosts[to]];
    headline.replaceChildren(make("b", {}, `${a} → ${b}`), ` ${cellAt(book, grid, from, to).words}`);
    hops.replaceChildren(...journey(book, grid, from, to));
    below.setAttribute("aria-label", `journey from ${a} to ${b}`);
  };
  const symbols = new Set();
  const observed = gridTable("observed (choose a pair)", grid.hosts, (from, to) => {
    const cell = cellAt(book, grid, from, to);
    if (!cell) return make("td", {}, "");
    symbols.add(cell.symbol);
    const drawn = drawnAt(grid, from, to);
    const differs = drawn !== undefined && drawn !== cell.symbol;
    const named = `${grid.hosts[from]} to ${grid.hosts[to]}: ${cell.words}` + (differs ? `, expected ${book.legend[drawn] ?? drawn}` : "");
    const button = make("button", {
      type: "button", class: tone(cell.symbol), "aria-label": named, "aria-pressed": "false", title: named,
      click: () => choose(from, to),
    }, differs ? `[${cell.symbol}]` : cell.symbol);
    pairs.set(`${from} ${to}`, button);
    return make("td", { class: differs ? "differs" : null }, button);
  });
  const first = grid.telling ?? firstTraced(book, grid);
  if (first) choose(first[0], first[1]);
  else headline.append("Choose a pair to see its journey.");
  const legend = make("ul", { class: "legend" }, [...symbols].filter((symbol) => book.legend[symbol])
    .map((symbol) => make("li", {}, make("b", { class: tone(symbol) }, symbol), ` ${book.legend[symbol]}`)));
  return [
    make("div", {}, grid.title, ": ", grid.agrees ? "as drawn" : make("b", { class: "o-fail" }, "differs")),
    make("div", { class: "pictures" }, expectedTable(grid), observed),
    legend,
    below,
    ...meanwhile(grid),
  ];
}

// What links and firewalls counted as given up meanwhile.
function meanwhile(grid) {
  if (!grid.counted?.length) return [];
  return [
    make("p", { class: "dim" }, "While all of this was observed:"),
    make("ul", { class: "dim" }, grid.counted.map((words) => make("li", {}, words))),
  ];
}

function firstTraced(book, grid) {
  for (let from = 0; from < grid.hosts.length; from += 1) {
    for (let to = 0; to < grid.hosts.length; to += 1) {
      if (cellAt(book, grid, from, to)?.way.length) return [from, to];
    }
  }
  return null;
}
