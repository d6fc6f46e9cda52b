//! A suite's sources as rules, functions and drawings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hairpin_model::grid::Drawing;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprStruct, File, ItemConst, ItemFn, ItemMod, LitStr, Macro, Token};

/// Everything that the checks look at.
#[derive(Default)]
pub(crate) struct Suite {
    pub(crate) rules: Vec<Rule>,
    pub(crate) functions: Vec<Function>,
    /// Drawings that are constants, by name.
    drawn: BTreeMap<String, Vec<Drawing>>,
    /// The names in each module's `RULES`.
    pub(crate) lists: Vec<(String, BTreeSet<String>)>,
    /// What `suite!` is given, without blanks.
    pub(crate) catalogue: String,
    /// What looks like a drawing and cannot be read as one.
    pub(crate) unreadable: Vec<String>,
}

/// A rule, where it is written down.
pub(crate) struct Rule {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) id: String,
    /// Its promise and its source, as they are printed.
    pub(crate) words: Vec<String>,
    pub(crate) article: Vec<String>,
}

/// A function with the drawings in it and in its attributes.
pub(crate) struct Function {
    pub(crate) module: String,
    /// As libtest would name it.
    pub(crate) path: String,
    name: String,
    pub(crate) is_test: bool,
    pub(crate) drawings: Vec<Drawing>,
    /// The functions that it calls and the constants that it names.
    pub(crate) mentions: BTreeSet<String>,
}

impl Suite {
    /// Reads the suite program in a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut suite = Self::default();
        suite.read_folder(folder, &[]);
        suite
    }

    fn read_folder(&mut self, folder: &Path, module: &[String]) {
        for entry in fs::read_dir(folder).expect("the suite's folder can be read") {
            let path = entry.expect("the suite's folder can be read").path();
            let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let mut inner = module.to_vec();
            if path.is_dir() {
                inner.push(stem);
                self.read_folder(&path, &inner);
                continue;
            }
            if stem != "main" {
                inner.push(stem);
            }
            let text = fs::read_to_string(&path).expect("a source can be read");
            let file: File = syn::parse_file(&text).expect("a source that was just compiled");
            Reader { suite: self, module: inner, function: None }.visit_file(&file);
        }
    }

    /// The drawings of a function, and of what it calls or names.
    pub(crate) fn drawings_within_reach<'s>(&'s self, function: &'s Function) -> Vec<&'s Drawing> {
        let helpers = self.functions.iter().filter(|f| !f.is_test);
        let called = helpers.filter(|helper| function.mentions.contains(&helper.name));
        let named = self.drawn.iter().filter(|(name, _)| function.mentions.contains(*name));
        let own = function.drawings.iter();
        own.chain(called.flat_map(|f| &f.drawings)).chain(named.flat_map(|(_, d)| d)).collect()
    }
}

/// The ordered pairs of different hosts whose symbol is such a one.
pub(crate) fn pairs(drawing: &Drawing, is: impl Fn(char) -> bool) -> Vec<(String, String)> {
    let such = drawing.pairs().filter(|(from, to, symbol)| from != to && is(*symbol));
    such.map(|(from, to, _)| (from.to_owned(), to.to_owned())).collect()
}

/// Walks over one file.
struct Reader<'s> {
    suite: &'s mut Suite,
    module: Vec<String>,
    function: Option<Function>,
}

impl Reader<'_> {
    fn module(&self) -> String {
        self.module.join("::")
    }

    fn read_rule(&mut self, name: String, rule: &ExprStruct) {
        let field = |wanted: &str| {
            let mut fields = rule.fields.iter();
            fields.find(|field| matches!(&field.member, syn::Member::Named(n) if n == wanted))
        };
        let texts = |wanted: &str| {
            let mut texts = Texts::default();
            if let Some(field) = field(wanted) {
                texts.visit_expr(&field.expr);
            }
            texts.0
        };
        let id = texts("id").pop().unwrap_or_default();
        let words = [texts("promise"), texts("source")].concat();
        let article = texts("article");
        self.suite.rules.push(Rule { module: self.module(), name, id, words, article });
    }

    /// Reads a text as a drawing if it looks like one.
    fn drawing(&mut self, text: &str) -> Option<Drawing> {
        looks_drawn(text).then(|| fill(text).parse()).and_then(|read: Result<Drawing, _>| {
            let place = self.function.as_ref().map_or_else(|| self.module(), |f| f.path.clone());
            read.map_err(|error| self.suite.unreadable.push(format!("{place}: {error}"))).ok()
        })
    }

    /// Goes into what a macro or an attribute was given, if it is a list of expressions.
    fn visit_list(&mut self, list: syn::Result<Punctuated<Expr, Token![,]>>) {
        for expr in list.into_iter().flatten() {
            self.visit_expr(&expr);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let name = item.sig.ident.to_string();
        let is_test = |a: &Attribute| a.path().is_ident("test") || a.path().is_ident("rstest");
        let function = Function {
            module: self.module(),
            path: format!("{}::{name}", self.module()),
            name,
            is_test: item.attrs.iter().any(is_test),
            drawings: Vec::new(),
            mentions: BTreeSet::new(),
        };
        let outer = self.function.replace(function);
        visit::visit_item_fn(self, item);
        let done = std::mem::replace(&mut self.function, outer);
        self.suite.functions.extend(done);
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        let name = item.ident.to_string();
        match &*item.expr {
            Expr::Struct(rule) if rule.path.is_ident("Rule") => self.read_rule(name, rule),
            list if name == "RULES" => {
                let mut names = Names::default();
                names.visit_expr(list);
                self.suite.lists.push((self.module(), names.0));
            }
            other => {
                let mut texts = Texts::default();
                texts.visit_expr(other);
                let drawings = texts.0.iter().filter_map(|text| self.drawing(text)).collect();
                self.suite.drawn.insert(name, drawings);
            }
        }
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        let drawing = self.drawing(&text.value());
        if let Some(function) = &mut self.function {
            function.drawings.extend(drawing);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let name = path.path.segments.last().map(|segment| segment.ident.to_string());
        // Constants only; functions are found where they are called.
        if let (Some(function), Some(name)) = (&mut self.function, name)
            && !name.contains(char::is_lowercase)
        {
            function.mentions.insert(name);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let (Some(function), Expr::Path(path)) = (&mut self.function, &*call.func) {
            let name = path.path.segments.last().map(|segment| segment.ident.to_string());
            function.mentions.extend(name);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        if item.path.segments.last().is_some_and(|segment| segment.ident == "suite") {
            let text = item.tokens.to_string();
            self.suite.catalogue = text.split_whitespace().collect();
        }
        self.visit_list(item.parse_body_with(Punctuated::parse_terminated));
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // A doc comment is an attribute, too, and its text no drawing.
        if !attribute.path().is_ident("doc") {
            self.visit_list(attribute.parse_args_with(Punctuated::parse_terminated));
        }
    }
}

/// The texts in an expression.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.0.push(text.value());
    }
}

/// The names in an expression.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        self.0.insert(name.to_string());
    }
}

/// Whether somebody meant to draw a grid: a line after the first has a name and then symbols only.
fn looks_drawn(text: &str) -> bool {
    let is_symbol = |word: &str| word.chars().count() == 1 || word.starts_with('{');
    text.lines().filter(|line| !line.trim().is_empty()).skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1).peekable();
        words.peek().is_some() && words.all(is_symbol)
    })
}

/// Puts a symbol that says nothing in place of what is filled in when the case runs.
fn fill(text: &str) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        filled.push('.');
        filled.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    filled
}

#[test]
fn a_drawing_is_known_when_it_is_seen() {
    assert!(looks_drawn("\n  a b\n a . #\n b {back} ."));
    assert!(looks_drawn("\n  a b\n a . 7\n c # ."));
    assert!(!looks_drawn("one line is no drawing"));
    assert!(!looks_drawn("{first:?}\n{second:?}"));
    assert_eq!(fill("a {there} {back} +"), "a . . +");
}
