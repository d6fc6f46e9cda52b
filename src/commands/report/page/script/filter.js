// The matrix: filters, search, and which run is shown.

const controls = byId("controls");
const matrix = byId("matrix");
const lines = [...matrix.querySelectorAll("tr[data-f]")].map((row) => ({
  row,
  marks: row.dataset.f.split(" "),
  text: null,
}));
const reasons = [...document.querySelectorAll("#why li")];

// What the search looks into: the row's own words, and its reasons. Made when somebody searches.
function words(line) {
  line.text ??= [line.row.cells[0].textContent]
    .concat((line.row.dataset.r ?? "").split(" ").filter(Boolean).map((at) => reasons[at].querySelector("span").textContent))
    .join(" ").toLowerCase();
  return line.text;
}

const run = () => byId("run")?.value ?? "";
const marksOf = (line) => line.marks[run() === "" ? 0 : Number(run()) + 1];

// Shows what the controls ask for, and says how much that is.
function filter() {
  const only = controls.elements.only.value;
  const wanted = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const line of lines) {
    const is = marksOf(line).includes(only) && wanted.every((word) => words(line).includes(word));
    line.row.hidden = !is;
    shown += is;
  }
  for (const body of matrix.tBodies) {
    body.hidden = !body.querySelector("tr[data-f]:not([hidden])");
  }
  matrix.className = run() === "" ? "" : [...byId("run").options]
    .filter((option) => option.value !== "" && option.value !== run())
    .map((option) => `hide-${option.value}`).join(" ");
  byId("shown").textContent = `${shown} of ${counted(lines.length, "case")} shown`;
  for (const of of controls.querySelectorAll(".of")) {
    of.textContent = `(${lines.filter((line) => marksOf(line).includes(of.dataset.of)).length})`;
  }
}

// The controls as an address, so that a filtered matrix can be passed on.
function filterAddress() {
  const parts = [];
  if (controls.elements.only.value) parts.push(`only=${controls.elements.only.value}`);
  if (byId("search").value) parts.push(`search=${encodeURIComponent(byId("search").value)}`);
  if (run()) parts.push(`run=${run()}`);
  return `#${parts.join("&")}`;
}

function setFilter(asked) {
  controls.elements.only.value = asked.get("only") ?? "";
  byId("search").value = asked.get("search") ?? "";
  if (byId("run")) byId("run").value = asked.get("run") ?? "";
  filter();
}

controls.addEventListener("input", () => {
  filter();
  history.replaceState(null, "", filterAddress());
});
controls.addEventListener("submit", (event) => event.preventDefault());

// Any cell leads to its case, for those who point. The keyboard has the links.
matrix.addEventListener("click", (event) => {
  const cell = event.target.closest("tbody td");
  const row = cell?.closest("tr[data-f]");
  if (!row || event.target.closest("a")) return;
  const head = matrix.tHead.rows[matrix.tHead.rows.length - 1].cells[cell.cellIndex];
  const label = new URLSearchParams(head.querySelector("a").hash.slice(1)).get("kernel");
  location.hash = `${row.cells[0].querySelector("a").hash}&on=${encodeURIComponent(label)}`;
});
