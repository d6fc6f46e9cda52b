//! A Chromium without a window, asked over its DevTools protocol.
//!
//! It listens on two pipes: no port that another could take, no second program, and no crate of
//! sixty thousand generated lines for the dozen requests that are made here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long any one answer may take, on a machine that is busy with something else.
const DEADLINE: Duration = Duration::from_secs(60);

/// The names that distributions give it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one page.
pub(crate) struct Chromium {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    /// Requests so far.
    asked: u64,
    session: Option<String>,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder can be made");
        // The shell puts the pipes where Chromium looks for them.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh", &program()]);
        command.args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run"]);
        // Root has no sandbox, and some machines let no user have one; the page is our own.
        command.args(["--no-sandbox", "--disable-dev-shm-usage"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("sh can be started");
        let to = process.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(process.stdout.take().expect("it is a pipe"));
        let (send, from) = channel();
        std::thread::spawn(move || {
            for answer in answers.split(0).map_while(Result::ok) {
                let answer = serde_json::from_slice(&answer).expect("Chromium speaks JSON");
                if send.send(answer).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { process, to, from, asked: 0, session: None, _profile: profile };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let how = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.ask("Target.attachToTarget", how);
        self.session = attached["sessionId"].as_str().map(Into::into);
        self.ask("Page.enable", json!({}));
        self.ask("Runtime.enable", json!({}));
        self.ask("Log.enable", json!({}));
    }

    /// Makes a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut request = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let id = self.asked;
        write!(self.to, "{request}\0").expect("Chromium listens");
        let answer = self.wait(method, |message| message["id"] == id);
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    /// Waits for such a message. Whatever the page complains of meanwhile is a failure.
    fn wait(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.from.recv_timeout(left);
            let message = message.unwrap_or_else(|error| panic!("{what}: no answer: {error}"));
            let method = message["method"].as_str().unwrap_or_default();
            let complains =
                ["Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"];
            assert!(!complains.contains(&method), "the page complains: {message}");
            if is(&message) {
                return message;
            }
        }
    }

    /// Loads a file.
    pub(crate) fn open(&mut self, file: &Path, hash: &str) {
        let address = format!("file://{}{hash}", file.display());
        self.ask("Page.navigate", json!({ "url": "about:blank" }));
        self.wait("about:blank", |message| message["method"] == "Page.loadEventFired");
        self.ask("Page.navigate", json!({ "url": address }));
        self.wait("load", |message| message["method"] == "Page.loadEventFired");
        if !hash.is_empty() {
            self.until("!document.getElementById('view').hidden");
        }
    }

    /// What an expression comes to.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let how = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.ask("Runtime.evaluate", how);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {}",
            result["exceptionDetails"]
        );
        result["result"]["value"].clone()
    }

    /// The same, of an expression that is text.
    pub(crate) fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().map(Into::into).unwrap_or_default()
    }

    /// Waits until an expression is true, looking again whenever a frame is drawn.
    pub(crate) fn until(&mut self, expression: &str) {
        let looked = format!(
            "new Promise((done) => {{ const end = performance.now() + 20000; (function look() {{ \
             if ({expression}) done(true); else if (performance.now() > end) done(false); \
             else requestAnimationFrame(look); }})(); }})"
        );
        assert_eq!(self.value(&looked), true, "in vain: {expression}");
    }

    /// Presses a key: `Tab`, `Enter`, `ArrowDown`, a letter.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            " " => (32, Some(" ")),
            "ArrowRight" => (39, None),
            "ArrowDown" => (40, None),
            letter => (i64::from(letter.as_bytes()[0].to_ascii_uppercase()), Some(letter)),
        };
        let press = json!({
            "type": "keyDown", "key": key, "windowsVirtualKeyCode": code, "text": text.unwrap_or_default(),
        });
        self.ask("Input.dispatchKeyEvent", press);
        let lift = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.ask("Input.dispatchKeyEvent", lift);
    }

    /// A screen of this width and height, in these colours.
    pub(crate) fn screen(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Keeps a picture of the screen where HAIRPIN_SHOTS says, for somebody to look at.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("HAIRPIN_SHOTS") else { return };
        let shot = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let file = Path::new(&folder).join(format!("{name}.png"));
        let text = shot["data"].as_str().expect("a picture is text here");
        let bytes = STANDARD.decode(text).expect("Chromium speaks base64");
        std::fs::write(file, bytes).expect("the folder can be written");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked to, it takes its own processes along and lets go of its profile.
        let close = json!({ "id": self.asked + 1, "method": "Browser.close" });
        if write!(self.to, "{close}\0").is_err() {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

/// What is installed. That there is none is a failure: nothing here is skipped.
fn program() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = NAMES.iter().flat_map(|name| {
        std::env::split_paths(&path)
            .map(move |folder| folder.join(name))
            .filter(|file| file.exists())
    });
    let found = found.next().expect("Chromium is needed: apt-get install chromium");
    found.display().to_string()
}
