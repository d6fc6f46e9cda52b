// What networks cost: ratios to a plain veth with their intervals, a bar each, and what changed beyond
// the noise. Which change counts was decided when the page was made.

const QUANTITIES = ["throughput (more is better)", "round trip (less is better)"];

// All measurements of a kernel, by what it calls itself.
const costsOf = (book, kernel) => book.costs.measured.filter((cost) => cost.kernel === kernel);

function costsOn(book, kernel) {
  const all = costsOf(book, kernel);
  if (!all.length) return [];
  return [make("h3", {}, "What networks cost"), ...all.flatMap((cost) => costView(book, cost, all.length > 1))];
}

function costView(book, cost, isOneOfSeveral) {
  const before = cost.before === null ? null : book.costs.measured[cost.before];
  const pair = before ? pairOf(book, before, cost) : null;
  const most = [0, 1].map((at) => longest([cost, before].flatMap((one) => (one ? one.networks.map(([, ratios]) => ratios[at]) : []))));
  const rows = cost.networks.map(([network, ratios]) => [
    breakable(network),
    ...ratios.map((ratio, at) => figure(ratio, pair ? ratioOf(before, network, at) : null, pair?.changed(network, at), at, most[at])),
  ]);
  const against = pair ? [`against `, make("b", {}, before.label), `: ${pair.words}`]
    : "no measurement before it was made in the same way, so nothing is said of changes";
  return [
    isOneOfSeveral ? make("h4", {}, cost.label) : null,
    make("p", {}, `${counted(cost.rounds, "round")} ${place(cost)}${cost.whole ? "" : "; the run was cut short"}; ${cost.base}`),
    make("p", {}, against),
    table(`what networks cost on ${cost.label}`, ["network", ...QUANTITIES], rows),
    ...cost.absent.map(([network, why]) => make("p", { class: "dim" }, `${network} cannot be had on this kernel: ${why}`)),
    make("p", { class: "dim" }, "In those of a plain veth of the same round: the median, and the interval that holds it with 95 %. " +
      (pair ? "The hollow mark is what it was before. Two measurements can only be compared if one machine made both, which the files do not tell." : "")),
  ].filter(Boolean);
}

// Where the bars' scale ends. A whisker may go on beyond: one wild round is not to make all bars dots.
function longest(ratios) {
  const middles = Math.max(1, ...ratios.map(([middle]) => middle));
  return Math.max(1, Math.min(2 * middles, Math.max(...ratios.map(([, , high]) => high))));
}

const place = ({ guest }) => (guest ? `in guests (${guest.accel}, ${guest.profile})` : "on the machine itself");

const ratioOf = (cost, network, at) => cost.networks.find(([name]) => name === network)?.[1][at] ?? null;

// What changed between two measurements, whichever is the earlier; nothing if they cannot be compared.
function pairOf(book, before, now) {
  const [a, b] = [before, now].map((cost) => book.costs.measured.indexOf(cost));
  const found = book.costs.pairs.find(([first, second]) => (first === a && second === b) || (first === b && second === a));
  if (!found) return null;
  const [, , words, changes] = found;
  return { words, changes, changed: (network, at) => changes.some(([name, quantity]) => name === network && quantity === at) };
}

const spread = ([, low, high]) => `${low.toFixed(2)} to ${high.toFixed(2)}`;
const turn = (now, before, at) => ((at === 0 ? now[0] < before[0] : now[0] > before[0]) ? "worse" : "better");

function figure(ratio, before, isChanged, at, most) {
  return [
    bar(ratio, before, most), " ", make("span", { class: "took" }, make("b", {}, ratio[0].toFixed(2)), " ", make("small", {}, spread(ratio))),
    isChanged ? make("div", {}, make("b", { class: turn(ratio, before, at) }, `! ${turn(ratio, before, at)}`), ` than ${before[0].toFixed(2)} (${spread(before)})`) : null,
  ];
}

// A bar from nothing, the interval as a whisker, and a line at what a plain veth does.
function bar([middle, low, high], before, most) {
  const [wide, tall, y] = [110, 18, 9];
  const x = (ratio) => 1 + ((wide - 7) * ratio) / most;
  const end = (ratio) => (ratio > most ? "" : `M${x(ratio)} ${y - 4}v8`);
  const whisker = `M${x(Math.min(low, most))} ${y}H${high > most ? wide : x(high)}${end(low)}${end(high)}`;
  return drawn("svg", { class: "cost", "aria-hidden": "true", width: wide, height: tall, viewBox: `0 0 ${wide} ${tall}` },
    drawn("rect", { x: 1, y: 4, width: x(middle) - 1, height: tall - 8 }),
    drawn("path", { class: "one", d: `M${x(1)} 0V${tall}` }),
    drawn("path", { class: "whisker", d: whisker }),
    before ? drawn("circle", { cx: x(before[0]), cy: y, r: 3.5 }) : null);
}

// What changed between kernels that are compared; of a kernel that is compared with itself, between
// its first measurement and its last.
function costsCompared(book, kernels) {
  const told = kernels.flatMap(([first, second]) => {
    const all = costsOf(book, first);
    const before = first === second ? all[0] : all.at(-1);
    const now = costsOf(book, second).at(-1);
    return before && now && before !== now ? changedCosts(book, before, now) : [];
  });
  return told.length ? [make("h3", {}, "What networks cost"), ...told] : [];
}

function changedCosts(book, before, now) {
  const pair = pairOf(book, before, now);
  if (!pair) return [make("p", {}, `${before.label} and ${now.label} were not measured in the same way.`)];
  const rows = pair.changes.map(([network, at]) => {
    const [was, is] = [ratioOf(before, network, at), ratioOf(now, network, at)];
    const told = (ratio) => [make("b", {}, ratio[0].toFixed(2)), " ", make("small", {}, spread(ratio))];
    return [breakable(network), QUANTITIES[at], told(was), told(is), make("b", { class: turn(is, was, at) }, `! ${turn(is, was, at)}`)];
  });
  const heads = ["network", "of what", "before", "now", "change"];
  return [make("p", {}, `${now.label} against ${before.label}: ${pair.words}`),
    rows.length ? table(`costs that changed between ${before.label} and ${now.label}`, heads, rows) : null];
}
