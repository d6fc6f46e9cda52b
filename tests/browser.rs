//! The report page in a real browser: what it shows, by pointer, by keyboard and to a screen reader.
//!
//! Needs Chromium, and for one test axe-core; see the feature `browser-tests`.

#[expect(dead_code, reason = "the list of its tests is for the suite program")]
#[path = "fake_suite/canned.rs"]
mod canned;
#[path = "browser/chromium.rs"]
mod chromium;
#[path = "browser/pages.rs"]
mod pages;

use chromium::Chromium;
use pages::{CASE, FLOW, Page};

/// The ids of the rows that are shown.
const SHOWN: &str = "[...document.querySelectorAll('#matrix tr[data-f]')]\
    .filter((row) => row.getClientRects().length).map((row) => row.querySelector('a').textContent).join(' ')";

const STATUS: &str = "document.getElementById('shown').textContent";
const VIEW: &str = "document.getElementById('view').innerText";

fn opened(page: &Page, hash: &str) -> Chromium {
    let mut browser = Chromium::start();
    browser.screen(1280, 900, "light");
    browser.open(&page.file(), hash);
    browser
}

fn choose(browser: &mut Chromium, filter: &str) {
    browser
        .value(&format!("document.querySelector('input[name=only][value=\"{filter}\"]').click()"));
}

fn search(browser: &mut Chromium, words: &str) {
    browser.value(&format!(
        "(() => {{ const search = document.getElementById('search'); search.value = {words:?}; \
         search.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    ));
}

/// That the view has all these words.
fn assert_tells(browser: &mut Chromium, all: &[&str]) {
    let text = browser.text(VIEW);
    for words in all {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }
}

#[test]
fn filters_and_search_show_what_they_say() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    assert_eq!(browser.text(STATUS), "7 of 7 cases shown");
    choose(&mut browser, "s");
    assert_eq!(browser.text(SHOWN), "bridge.vlan.tags-are-kept");
    choose(&mut browser, "k");
    assert_eq!(browser.text(SHOWN), "faults.told.flake");
    choose(&mut browser, "n");
    assert_eq!(browser.text(SHOWN), format!("faults.told.crash {CASE}"));
    assert_eq!(browser.text(STATUS), "2 of 7 cases shown");
    choose(&mut browser, "f");
    search(&mut browser, "IPv6");
    assert_eq!(browser.text(SHOWN), "bridge.l2.same-bridge.v6", "found by its reason");
    choose(&mut browser, "");
    search(&mut browser, "reflection switch");
    assert_eq!(browser.text(SHOWN), CASE, "found by its id and its promise");
    search(&mut browser, "nothing has this");
    assert_eq!(browser.text(STATUS), "0 of 7 cases shown");
    // One run of the two: its columns, and what is so within it.
    search(&mut browser, "");
    browser.value("document.getElementById('run').value = '0'; document.getElementById('run').dispatchEvent(new Event('input', { bubbles: true }))");
    choose(&mut browser, "f");
    assert_eq!(browser.text(SHOWN), "bridge.l2.same-bridge.v6 faults.told.flake");
    let heads = "[...document.querySelectorAll('#matrix thead th')].filter((th) => th.getClientRects().length).map((th) => th.textContent).join(' ')";
    assert_eq!(browser.text(heads), "before case 5.10 6.1 6.12");
    // The address has it all, for somebody else.
    let hash = browser.text("location.hash");
    browser.open(&page.file(), "");
    browser.value(&format!("location.hash = {hash:?}"));
    browser.until("document.getElementById('shown').textContent.startsWith('2 of')");
}

#[test]
fn a_case_tells_its_promise_wiring_grids_journey_and_history() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    choose(&mut browser, "n");
    browser.value(
        "[...document.querySelectorAll('#matrix tr[data-f]:not([hidden]) td')].at(-1).click()",
    );
    browser.until("!document.getElementById('view').hidden");
    assert_tells(
        &mut browser,
        &[
            "vepa siblings reach each other only by way of a switch",
            "ip-link(8), macvlan mode vepa (documented)",
            "last good today 5.10, first bad today 6.1",
            "hairpin bisect --good 5.10 --bad 6.1 macvlan.vepa.siblings-need-reflection.v4",
            "hairpin check --kernel 6.12 --module 'my drivers/macvlan.ko' macvlan.vepa.siblings-need-reflection.v4",
            "expected",
            "observed",
            "its arp request left c1:c0, left p:p0, reached sw:s0",
        ],
    );
    assert_eq!(browser.value("document.querySelectorAll('#view svg.hw rect').length"), 5);
    assert_eq!(browser.value("document.querySelectorAll('#view table.grid').length"), 2);
    let ladder = "document.querySelector('.journey').getAttribute('aria-label')";
    assert_eq!(browser.text(ladder), "journey from c1 to c2");
    browser.picture("case-wide");
    // Another pair has another journey.
    browser.value("document.querySelector('button[aria-label^=\"c1 to e\"]').click()");
    assert_eq!(browser.text(ladder), "journey from c1 to e");
    // Another kernel has another verdict, and back leads to the matrix as it was left.
    browser.value("[...document.querySelectorAll('#view table a')].find((a) => a.textContent === 'before 6.12').click()");
    browser.until("document.getElementById('view').innerText.includes('On before 6.12: pass')");
    browser.value("document.querySelector('#view a').click()");
    browser.until("!document.getElementById('overview').hidden");
    assert_eq!(browser.text(STATUS), "2 of 7 cases shown");
    browser.value("history.back()");
    browser.until("document.getElementById('view').innerText.includes('On before 6.12: pass')");
}

/// The hops of the journey that is shown, as they are read aloud.
const HOPS: &str = "[...document.querySelectorAll('.journey li.hop')]\
    .map((hop) => hop.innerText.replace(/\\s+/g, ' ').trim()).join('\\n')";

#[test]
fn a_journey_tells_how_frames_were_changed_and_where_they_were_dropped_in_the_terminals_words() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, &format!("#case={CASE}&on=today%206.12"));
    let blocked = "left c1:c0\nleft p:p0\nreached sw:s0\n\
         left sw:s1 source MAC 02:68:70:00:00:0a -> 02:68:70:00:00:0b, VLAN none -> 10\nreached e:e0\n\
         last seen reaching e:e0\ndropped at sw:s0 by br_handle_frame_finish (NO_TX_TARGET)";
    assert_eq!(browser.text(HOPS), blocked);
    let begin = "document.querySelector('.hop.kind').innerText";
    assert_eq!(browser.text(begin), "arp request 02:68:70:00:00:0a > ff:ff:ff:ff:ff:ff");
    browser.value("document.querySelector('button[aria-label^=\"c1 to e\"]').click()");
    let echo = "left sw:s1 source MAC 02:68:70:00:00:0a -> 02:68:70:00:00:0b, \
         source address 192.0.2.11 -> 192.0.2.10, TTL 64 -> 63";
    assert!(browser.text(HOPS).contains(echo), "{}", browser.text(HOPS));
    browser.screen(390, 844, "dark");
    browser.value("document.querySelector('.journey').scrollIntoView()");
    browser.picture("journey-phone-dark");
    // A line from hop to hop, but for the first of each kind.
    assert_eq!(browser.value("document.querySelectorAll('.journey .rails .up').length"), 8);
    // An upright for each link, and a mark for each sighting.
    assert_eq!(browser.value("document.querySelectorAll('.journey .names i').length"), 5);
    assert_eq!(browser.value("document.querySelectorAll('.journey .rails .mark').length"), 10);
    // What reached e and what left c2 after it are two frames, and no line leads there.
    browser.value("document.querySelector('button[aria-label^=\"c2 to c1\"]').click()");
    let rows = "[...document.querySelectorAll('.journey li.hop')].map((row) => row.querySelector('.up') ? 1 : 0).join('')";
    assert_eq!(browser.text(rows), "01111011", "{}", browser.text(HOPS));
}

#[test]
fn a_flow_has_a_journey_too() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, &format!("#case={FLOW}&on=today%206.12"));
    let summary =
        "[...document.querySelectorAll('summary')].find((it) => it.innerText.startsWith('flow: '))";
    assert_eq!(
        browser.text(&format!("{summary}.innerText")),
        "flow: TCP over IPv4 from a to b port 80"
    );
    browser.value(&format!("{summary}.click()"));
    let hops = "[...document.querySelectorAll('details .journey li.hop')]\
        .map((hop) => hop.innerText.replace(/\\s+/g, ' ').trim()).join('\\n')";
    let told = browser.text(hops);
    assert!(told.contains("left a:eth0"), "{told}");
    assert!(told.contains("destination address 192.0.2.9 -> 192.0.2.2"), "{told}");
    browser.screen(1200, 900, "light");
    browser.value(&format!("{summary}.scrollIntoView()"));
    browser.picture("flow-light");
}

#[test]
fn what_was_counted_stands_below_its_grid() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, &format!("#case={CASE}&on=today%206.12"));
    let told = browser.text("document.querySelector('main').innerText");
    assert!(told.contains("While all of this was observed:"), "{told}");
    assert!(told.contains("sw counted 4 packets taken by the policy of forward: drop"), "{told}");
}

#[test]
fn the_keyboard_asks_for_all_headers_and_has_them_for_the_next_pair_too() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, &format!("#case={CASE}&on=today%206.12"));
    browser.value("document.querySelector('button[aria-label^=\"e to c1\"]').focus()");
    browser.press("Enter");
    let focused = "document.activeElement.type ?? ''";
    for _ in 0..8 {
        browser.press("Tab");
        if browser.text(focused) == "checkbox" {
            break;
        }
    }
    browser.press(" ");
    let tells = "left sw:s0 02:68:70:00:00:0b > ff:ff:ff:ff:ff:ff, 192.0.2.10 > 192.0.2.9, TTL 63";
    assert!(browser.text(HOPS).contains(tells), "{}", browser.text(HOPS));
    browser.value("document.querySelector('button[aria-label^=\"c1 to e\"]').click()");
    let tells =
        "reached e:e0 02:68:70:00:00:0b > ff:ff:ff:ff:ff:ff, 192.0.2.10 > 192.0.2.9, TTL 63";
    assert!(browser.text(HOPS).contains(tells), "{}", browser.text(HOPS));
}

#[test]
fn a_kernel_tells_its_package_and_what_did_not_pass() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "#kernel=today%206.12");
    assert_tells(
        &mut browser,
        &[
            "linux-image-6.12.1-amd64 6.12.1-1",
            "6.12.1-amd64",
            "--module 'my drivers/macvlan.ko'",
            "now and then",
            "Slowest",
            "1 case skipped",
        ],
    );
    // Skipped cases are folded, and there.
    browser.value("document.querySelector('#view summary').click()");
    assert_tells(&mut browser, &["driver `vlan`"]);
    assert!(browser.text("document.title").starts_with("kernel today 6.12"));
}

#[test]
fn a_kernel_tells_what_networks_cost_and_what_changed_beyond_the_noise() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    // A line a kernel, without the script.
    let lines = "[...document.querySelectorAll('table.costs tbody tr')].map((row) => row.innerText.replace(/\\s+/g, ' ').trim()).join('\\n')";
    assert_eq!(
        browser.text(lines),
        "6.1 – 0.80 / 1.00 1.00 / 1.00\n6.12 6.1 0.60 ! / 1.00 1.00 / 1.00"
    );
    browser.picture("costs-matrix-wide");
    browser.value("document.querySelector('table.costs tbody tr:last-child a').click()");
    browser.until("document.title.startsWith('kernel today 6.12')");
    let heading = "[...document.querySelectorAll('#view h3')].find((h3) => h3.textContent === 'What networks cost')";
    browser.value(&format!("{heading}.scrollIntoView()"));
    let told = [
        "9 rounds in guests (tcg, fast); a plain veth: 24.0 Gbit/s, a round trip in 12.0 µs",
        "against 6.1: 1 change beyond the noise",
        "0.60 0.59 to 0.61",
        "! worse than 0.80 (0.79 to 0.81)",
        "ipvlan-l2 cannot be had on this kernel: driver `ipvlan`",
    ];
    assert_tells(&mut browser, &told);
    // A bar a network and quantity, as long as its figure, of the cable's.
    let bars = "[...document.querySelectorAll('#view svg.cost rect')].map((bar) => bar.getAttribute('width'))";
    assert_eq!(browser.value(&format!("{bars}.length")), 6);
    let share = browser.value(&format!("(([veth, , bridge]) => bridge / veth)({bars})"));
    assert!(share.as_f64().is_some_and(|share| (share - 0.6).abs() < 0.01), "{share}");
    browser.picture("costs-wide");
    browser.screen(390, 844, "dark");
    browser.value(&format!("{heading}.scrollIntoView()"));
    browser.picture("costs-phone-dark");
    browser.screen(1280, 900, "light");
    browser.open(&page.file(), "#compare=today%206.1,today%206.12");
    assert_tells(&mut browser, &["6.12 against 6.1: 1 change beyond the noise", "! worse"]);
}

#[test]
fn two_runs_are_held_against_each_other() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "#compare=before,today");
    let text = browser.text(VIEW);
    assert!(text.contains("On 3 kernels: got worse: 3, alike: 18"), "{text}");
    // A kernel of one of them against another.
    browser.value(
        "document.getElementById('compare-a').value = 'today 6.12'; \
         document.getElementById('compare-b').value = 'before 5.10'; \
         document.querySelector('#view form button').click()",
    );
    browser.until("document.getElementById('view').innerText.includes('got better: 4')");
    browser.picture("compare-wide");
}

#[test]
fn the_keyboard_leads_to_a_case_and_back() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    browser.value("document.querySelector('input[name=only]').focus()");
    browser.press("ArrowRight");
    browser.press("ArrowRight");
    assert_eq!(browser.text(STATUS), "4 of 7 cases shown");
    browser.press("Tab");
    for letter in ["c", "r", "a", "s", "h"] {
        browser.press(letter);
    }
    assert_eq!(browser.text(SHOWN), "faults.told.crash");
    let focused = "document.activeElement.textContent";
    let mut seen = Vec::new();
    for _ in 0..20 {
        browser.press("Tab");
        seen.push(browser.text(focused));
        if seen.last().is_some_and(|text| text == "crash") {
            break;
        }
    }
    let marked = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(
        (browser.text(focused).as_str(), browser.text(marked).as_str()),
        ("crash", "solid"),
        "{seen:?}"
    );
    browser.press("Enter");
    browser.until("document.activeElement.tagName === 'H2'");
    assert_eq!(browser.text(focused), "faults.told.crash");
    browser.value("history.back()");
    browser.until("!document.getElementById('overview').hidden");
    assert_eq!(browser.text(focused), "crash", "the keyboard goes on where it was");
    // A pair of a grid is a button.
    browser.open(&page.file(), &format!("#case={CASE}"));
    browser.value("document.querySelector('button[aria-label^=\"e to c1\"]').focus()");
    browser.press("Enter");
    assert!(browser.text("document.querySelector('.journey b').textContent").starts_with("e → c1"));
}

#[test]
fn text_from_events_is_never_a_program_and_nothing_is_fetched() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    for hash in [
        "",
        "#case=faults.told.crash",
        "#kernel=today%206.12",
        "#compare=before,today",
        "#case=%3Cimg%20src=x%3E",
        "#kernel=%zz",
    ] {
        browser.open(&page.file(), hash);
        let found = "[window.hacked ?? 0, document.images.length, performance.getEntriesByType('resource').length].join()";
        assert_eq!(browser.text(found), "0,0,0", "{hash}");
    }
    browser.open(&page.file(), "#case=faults.told.crash&on=today%206.12");
    let text = browser.text(VIEW);
    assert_eq!(text.matches(pages::NASTY).count(), 4, "{text}");
    assert!(text.contains(&format!("BUG: {}", pages::NASTY)), "{text}");
}

/// The views, each once.
const VIEWS: [(&str, &str); 4] = [
    ("matrix", ""),
    ("case", "#case=macvlan.vepa.siblings-need-reflection.v4&on=today%206.12"),
    ("kernel", "#kernel=today%206.12"),
    ("compare", "#compare=before,today"),
];

#[test]
fn a_phone_shows_every_view_without_moving_sideways() {
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    for scheme in ["light", "dark"] {
        browser.screen(390, 844, scheme);
        for (name, hash) in VIEWS {
            browser.open(&page.file(), hash);
            let wide = browser.value("document.documentElement.scrollWidth");
            assert!(wide.as_u64().is_some_and(|wide| wide <= 390), "{name} is {wide} wide");
            browser.picture(&format!("{name}-phone-{scheme}"));
        }
    }
}

#[test]
fn a_phone_has_room_for_the_names_of_cases() {
    let page = Page::of_many();
    let mut browser = Chromium::start();
    browser.screen(390, 844, "light");
    browser.open(&page.file(), "");
    let wide = "document.querySelector('#matrix tr[data-f] th').getBoundingClientRect().width";
    let wide = browser.value(wide).as_f64().expect("a width");
    assert!((150.0..220.0).contains(&wide), "{wide}");
    // Whatever is moved sideways, the names stay.
    browser.value("document.getElementById('matrix').parentElement.scrollLeft = 200");
    let left = "document.querySelector('#matrix tr[data-f] th').getBoundingClientRect().left";
    assert!(browser.value(left).as_f64().is_some_and(|left| left >= 0.0));
    browser.value("document.getElementById('cases').scrollIntoView()");
    browser.picture("many-phone-light");
}

#[test]
fn axe_finds_nothing_serious() {
    let file = std::env::var_os("HAIRPIN_AXE")
        .expect("HAIRPIN_AXE names axe.min.js of the npm package axe-core");
    let axe = std::fs::read_to_string(file).expect("axe.min.js can be read");
    let page = Page::of_two_runs();
    let mut browser = opened(&page, "");
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light")] {
        browser.screen(width, 900, scheme);
        for (name, hash) in VIEWS {
            browser.open(&page.file(), hash);
            browser.value(&format!("{axe}; 0"));
            let found = browser.text(
                "axe.run().then((found) => found.violations.flatMap((one) => one.nodes.map((node) => \
                 `${one.impact} ${one.id}: ${node.html}`)).join('\\n'))",
            );
            let serious: Vec<&str> = found
                .lines()
                .filter(|line| line.starts_with("serious") || line.starts_with("critical"))
                .collect();
            assert!(serious.is_empty(), "{name}, {width} wide, {scheme}: {serious:#?}");
            if !found.is_empty() {
                println!("{name}, {width} wide, {scheme}, not serious:\n{found}");
            }
        }
    }
}

#[test]
fn six_hundred_cases_on_eleven_kernels_are_painted_within_a_second() {
    let page = Page::of_many();
    let size = std::fs::metadata(page.file()).expect("the page is there").len();
    assert!(size < 3_000_000, "{size} bytes");
    let mut browser = Chromium::start();
    browser.screen(1280, 900, "light");
    let painted = "new Promise((done) => new PerformanceObserver((list) => { \
        const found = list.getEntriesByName('first-contentful-paint')[0]; if (found) done(found.startTime); \
        }).observe({ type: 'paint', buffered: true }))";
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            browser.open(&page.file(), "");
            browser.value(painted).as_f64().expect("a time")
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{size} bytes; first paint after {times:.0?} ms");
    // The best of them: a machine that is busy with something else makes no page slow.
    assert!(times[0] < 1000.0, "{times:?} ms");
}
