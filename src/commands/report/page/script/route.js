// The address decides what is shown: a case, a kernel, a comparison, or the matrix.

const overview = byId("overview");
const view = byId("view");
const pageTitle = document.title;
let scrolled = 0;
let left = null;

async function show() {
  const asked = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
  const isView = ["case", "kernel", "compare"].some((name) => asked.has(name));
  if (!isView) return showMatrix(asked);
  if (!overview.hidden) {
    scrolled = scrollY;
    left = document.activeElement;
  }
  const wanted = location.hash;
  let made;
  try {
    made = viewOf(await details(), asked);
  } catch (error) {
    made = missing(`The details cannot be shown: ${error.message}`);
  }
  // Somebody may have gone on meanwhile.
  if (location.hash !== wanted) return;
  const again = !view.hidden && document.activeElement?.closest("#view table");
  overview.hidden = true;
  view.hidden = false;
  view.replaceChildren(make("p", {}, make("a", { href: filterAddress() }, "← all cases")), ...made.parts.filter(Boolean));
  document.title = `${made.title} · Hairpin`;
  if (again) view.querySelector("tr[aria-current] a")?.focus({ preventScroll: true });
  if (!view.contains(document.activeElement)) view.querySelector("h2").focus({ preventScroll: true });
  if (!again) scrollTo(0, 0);
}

function viewOf(book, asked) {
  if (asked.has("case")) return caseView(book, asked.get("case"), asked.get("on") ?? undefined);
  if (asked.has("kernel")) return kernelView(book, asked.get("kernel"));
  // The comma between the two is not encoded, those in their names are.
  const names = /compare=([^&]*)/.exec(location.hash)?.[1] ?? "";
  return compareView(book, names.split(",").map(decodeURIComponent));
}

function showMatrix(asked) {
  const wasView = !view.hidden;
  setFilter(asked);
  view.hidden = true;
  view.replaceChildren();
  overview.hidden = false;
  document.title = pageTitle;
  if (wasView) {
    scrollTo(0, scrolled);
    // Back to where the reader was, so that the keyboard can go on from there.
    (left?.isConnected && left !== document.body ? left : byId("main")).focus({ preventScroll: true });
  }
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
addEventListener("hashchange", show);
controls.hidden = false;
show();
