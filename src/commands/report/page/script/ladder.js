// The journey of a pair's frames as a ladder: an upright for each link, and for each kind of frame a
// mark for each sighting, downwards in the order of time, with what was changed there. It shows what
// was seen, and nothing that was not. A list for those who hear it; all words are the terminal's.

// Whether a reader has asked for all headers: he need not ask again for the next pair.
let inFull = false;

function journey(book, grid, from, to) {
  const told = grid.telling && grid.telling[0] === from && grid.telling[1] === to ? grid.telling[2] : null;
  return journeyOf(book, cellAt(book, grid, from, to), told);
}

// The journey of a flow, folded: what was held of it stands below it.
function flowView(book, [title, from, to, place]) {
  const cell = passage(book, place);
  return make("details", {},
    make("summary", {}, "flow: ", title),
    make("div", { class: "journey" },
      make("p", {}, make("b", {}, `${from} → ${to}`), ` ${cell.words}`), ...journeyOf(book, cell, null)));
}

function journeyOf(book, cell, told) {
  const legs = cell.way.map((leg) => legOf(book, leg, cell.dropped));
  const kinds = legs.map((leg) => leg.kind);
  const elsewhere = cell.dropped.filter(([kind]) => !kinds.includes(kind));
  const notes = [
    cell.proof ? `proof: ${cell.proof}` : null,
    cell.overheard?.length ? `overheard by ${cell.overheard.join(", ")}` : null,
    cell.ttl !== null && cell.ttl !== undefined ? `TTL on arrival: ${cell.ttl}` : null,
    ...elsewhere.map(([kind, , words]) => `${kind} ${words}`),
    told,
  ];
  return [
    ...notes.filter(Boolean).map((note) => make("p", { class: "dim" }, note)),
    ...(legs.length ? ladder(legs) : [make("p", { class: "dim" }, "No link saw a frame of it, as far as the events tell.")]),
  ];
}

// What the events tell of a kind of frame. Headers that are not told are those of the hop before.
function legOf(book, [kind, ...told], dropped) {
  let headers = null;
  const hops = told.map(([link, out, place, ...changes]) => {
    if (place !== undefined) headers = book.headers[place];
    return { link, isOut: out === 1, headers, changes: changes.map((at) => book.changes[at]) };
  });
  return { kind, hops, drops: dropped.filter(([what]) => what === kind).map(([, link, words]) => ({ link, words })) };
}

function ladder(legs) {
  const links = [...new Set(legs.flatMap(({ hops, drops }) => [...hops, ...drops].map(({ link }) => link)))];
  const all = make("div", { class: inFull ? "ladder full" : "ladder" }, names(links), legs.map((leg) => legView(links, leg)));
  return [
    key(legs, all),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "hop by hop" }, all),
  ];
}

// What the marks mean, and the switch for the headers.
function key(legs, all) {
  const mark = (name, words) => make("li", {}, make("b", { class: `mark ${name}`, "aria-hidden": "true" }), ` ${words}`);
  const toggle = (event) => {
    inFull = event.target.checked;
    all.classList.toggle("full", inFull);
  };
  const hasHeaders = legs.some(({ hops }) => hops.some(({ headers }) => headers));
  return make("div", { class: "row" },
    make("ul", { class: "legend" }, mark("out", "left"), mark("in", "reached"),
      legs.some(({ drops }) => drops.length) ? mark("drop", "dropped") : null),
    hasHeaders ? make("label", {}, make("input", { type: "checkbox", checked: inFull ? "" : null, change: toggle }), " headers at every hop") : null);
}

const names = (links) =>
  make("div", { class: "rails names", "aria-hidden": "true" }, links.map((link) => make("i", {}, make("span", {}, link))));

function legView(links, { kind, hops, drops }) {
  const [first, last] = [hops[0], hops.at(-1)];
  const verb = (hop) => (hop.isOut ? "left" : "reached");
  const steps = hops.map((hop, at) => step(
    rails(links, hop.link, hop.isOut ? "out" : "in", leads(hops[at - 1], hop) ? hops[at - 1].link : undefined,
      at + 1 < hops.length ? leads(hop, hops[at + 1]) : drops.length > 0),
    make("span", { class: "verb" }, verb(hop)), " ", make("b", {}, hop.link),
    hop.changes.map((change, at) => [at ? make("span", { class: "comma" }, ", ") : " ", make("span", { class: "change" }, change)]),
    hop.headers ? make("small", { class: "headers" }, hop.headers) : null));
  const ends = drops.map((drop, at) => step(
    rails(links, drop.link, "drop", at === 0 ? last.link : undefined, false), make("b", { class: "o-fail" }, drop.words)));
  const seen = `last seen ${last.isOut ? "leaving" : "reaching"} ${last.link}`;
  return [
    make("div", { class: "hop kind" }, rails(links),
      make("div", {}, make("b", {}, kind), first.headers ? [" ", make("small", {}, first.headers)] : null)),
    make("ol", { "aria-label": kind }, steps, step(rails(links, null, null, drops.length ? last.link : undefined, drops.length > 0), make("span", { class: "dim" }, seen)), ends),
  ];
}

// Whether a line may be drawn between two hops. What reached one host and what left another after it are
// two frames: copies, or an answer of the same kind.
function leads(before, hop) {
  const host = ({ link }) => link.split(":")[0];
  return before !== undefined && (before.isOut || !hop.isOut || host(before) === host(hop));
}

const step = (lanes, ...told) => make("li", { class: "hop" }, lanes, make("div", {}, told));

// The uprights of one row: a mark at a link, a rung from the link before, and a line on to the next row.
function rails(links, link, mark, before, goesOn) {
  const [to, from] = [links.indexOf(link), links.indexOf(before)];
  const lane = (_, at) => {
    const isEnd = at === to;
    const within = from >= 0 && to >= 0 && at >= Math.min(from, to) && at <= Math.max(from, to) && from !== to;
    const parts = [
      from === at ? "up" : null,
      goesOn && (isEnd || (to < 0 && from === at)) ? "down" : null,
      within ? (at === Math.min(from, to) ? "right" : at === Math.max(from, to) ? "left" : "across") : null,
    ];
    return make("i", { class: parts.filter(Boolean).join(" ") || null }, isEnd ? make("b", { class: `mark ${mark}` }) : null);
  };
  return make("span", { class: "rails", "aria-hidden": "true" }, links.map(lane));
}
