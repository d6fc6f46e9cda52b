// The journey of a pair's frames as a ladder: an upright a link, a rung for each sighting, downwards
// in the order of time. It shows what was seen, and nothing that was not.

const STEP = 24;

function journey(book, grid, from, to) {
  const cell = cellAt(book, grid, from, to);
  const [a, b] = [grid.hosts[from], grid.hosts[to]];
  const told = grid.telling && grid.telling[0] === from && grid.telling[1] === to ? grid.telling[2] : null;
  const notes = [
    cell.proof ? `proof: ${cell.proof}` : null,
    cell.overheard?.length ? `overheard by ${cell.overheard.join(", ")}` : null,
    cell.ttl !== null && cell.ttl !== undefined ? `TTL on arrival: ${cell.ttl}` : null,
    ...cell.dropped,
    told,
  ];
  return [
    make("p", {}, make("b", {}, `${a} → ${b}`), ` ${cell.words}`),
    ...notes.filter(Boolean).map((note) => make("p", { class: "dim" }, note)),
    ...(cell.way.length ? [ladder(a, b, cell.way), steps(cell.way)] : [make("p", { class: "dim" }, "No link's sightings are in the events.")]),
  ];
}

function ladder(a, b, way) {
  const links = [...new Set(way.map(([, link]) => link))];
  const left = 12 + 7 * Math.max(...way.map(([kind]) => kind.length));
  const gap = Math.max(56, 12 + 8 * Math.max(...links.map((link) => link.length)));
  const x = (link) => left + gap / 2 + gap * links.indexOf(link);
  const y = (at) => 34 + STEP * at;
  const size = [left + gap * links.length, y(way.length)];
  const uprights = links.map((link) => [
    drawn("text", { x: x(link), y: 14, "text-anchor": "middle" }, link),
    drawn("line", { x1: x(link), x2: x(link), y1: 20, y2: size[1] - 8 }),
  ]);
  const rungs = way.map(([kind, link, out], at) => {
    const before = at > 0 && way[at - 1][0] === kind ? way[at - 1] : null;
    return [
      before ? drawn("path", { class: "rung", d: `M${x(before[1])} ${y(at - 1)}L${x(link)} ${y(at)}` })
        : drawn("text", { class: "kind", x: 0, y: y(at) + 4 }, kind),
      drawn("circle", { class: out ? "out" : "in", cx: x(link), cy: y(at), r: 5 }),
      drawn("text", { class: "kind", x: x(link) + 9, y: y(at) + 4 }, out ? "out" : "in"),
    ];
  });
  const name = `journey from ${a} to ${b}: ${counted(way.length, "sighting")} on ${counted(links.length, "link")}, told as a list below`;
  // Lines first, so that no rung runs over a mark.
  const parts = rungs.flat();
  const under = parts.filter((part) => part.classList.contains("rung"));
  const over = parts.filter((part) => !part.classList.contains("rung"));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "ladder" },
    drawn("svg", { class: "ladder", role: "img", "aria-label": name, width: size[0], height: size[1], viewBox: `0 0 ${size[0]} ${size[1]}` },
      uprights, under, over));
}

function steps(way) {
  const item = ([kind, link, out]) => make("li", {}, `${kind} ${out ? "left" : "reached"} ${link}`);
  return make("details", {}, make("summary", {}, "as a list"), make("ol", {}, way.map(item)));
}
