//! Modules point one way, and kernels do nothing but arithmetic: read from the sources.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules with their place in the way of the data: each uses smaller numbers only.
const LAYERS: [(&str, u32); 20] = [
    ("grid", 1),
    ("memory", 1),
    ("copied", 2),
    ("inflow", 2),
    ("source", 2),
    ("field", 3),
    ("bytes", 4),
    ("advance", 4),
    ("operations", 1),
    ("ceiling", 5),
    ("decomp", 5),
    ("checkpoint", 6),
    ("job", 7),
    ("plan", 8),
    ("observe", 9),
    ("run", 10),
    ("torus", 11),
    ("datacenter", 11),
    ("compare", 12),
    ("cli", 13),
];
/// Modules that all may use; they use none.
const COMMON: [&str; 3] = ["exit", "clock", "random"];

/// What a kernel has no use for.
const NOT_IN_KERNELS: [&str; 9] =
    ["unsafe", "std::fs", "std::io", "std::net", "std::time", "std::env", "std::process", "std::thread", "std::sync"];

fn layer(module: &str) -> Option<u32> {
    if COMMON.contains(&module) {
        return Some(0);
    }
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// `text` without comments and the contents of strings.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string(rest),
            // A character, not a lifetime.
            '\'' if rest[1..].starts_with('\\') => 2 + rest[2..].find('\'').map_or(0, |end| end + 1),
            '\'' if rest.chars().nth(2) == Some('\'') => rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
        } else {
            code.push(' ');
        }
        rest = &rest[if skipped == 0 { first.len_utf8() } else { skipped.max(1) }..];
    }
    code
}

/// Length of the string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Modules of this crate that `code` names by paths from `crate`, braces included.
fn named(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
    };
    let compact: String =
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(":: ", "::").replace(" ::", "::");
    let mut all = Vec::new();
    for (at, _) in compact.match_indices("crate::") {
        if compact[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let after = compact[at + "crate::".len()..].trim_start();
        if let Some(list) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut begins = true;
            for (at, letter) in list.char_indices() {
                if begins && depth == 0 && letter.is_alphabetic() {
                    all.push(word(&list[at..]));
                    begins = false;
                }
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' => begins = true,
                    _ => {}
                }
            }
        } else {
            all.push(word(after));
        }
    }
    all
}

/// What is wrong with `text` in `module`: modules that it must not name.
fn violations(module: &str, text: &str) -> Vec<String> {
    let Some(own) = layer(module) else { return vec![format!("{module} has no place among the layers")] };
    let code = code(text);
    let wrong = |other: &String| match layer(other) {
        None => other != "*" && !other.is_empty(),
        Some(0) => false,
        Some(layer) => other != module && layer >= own,
    };
    let mut all: Vec<String> =
        named(&code).into_iter().filter(wrong).map(|other| format!("{module} names {other}")).collect();
    all.dedup();
    all
}

/// What is wrong with `text` of a kernel.
fn kernel_violations(text: &str) -> Vec<&'static str> {
    let code = code(text).replace("forbid(unsafe_code)", "");
    let compact: String = code.split_whitespace().collect();
    let whole = |word: &&str| {
        let names = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
        match *word {
            "unsafe" => code.match_indices("unsafe").any(|(at, _)| names(&code[at + "unsafe".len()..])),
            path => compact.match_indices(path).any(|(at, _)| names(&compact[at + path.len()..])),
        }
    };
    let mut all: Vec<_> = NOT_IN_KERNELS.iter().filter(|word| whole(word)).copied().collect();
    if compact.contains("std::{") {
        all.push("std::{ }");
    }
    all
}

/// Rust files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Module of the file at `path` below `src`; none for the crate's own two files.
fn module(src: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(src).unwrap();
    let first = below.strip_prefix("engine").unwrap_or(below).components().next().unwrap();
    let name = Path::new(&first).file_stem().unwrap().to_str().unwrap().to_owned();
    (name != "lib" && name != "main").then_some(name)
}

#[test]
fn modules_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for path in sources(&src) {
        let Some(module) = module(&src, &path) else { continue };
        // Unit tests may reach for anything: they ship nothing.
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let shipped = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        wrong.extend(violations(&module, shipped).into_iter().map(|what| format!("{}: {what}", path.display())));
        seen.push(module);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (module, _) in LAYERS {
        assert!(seen.iter().any(|name| name == module), "no file of module {module} was read");
    }
    println!("{} files point one way", seen.len());
}

#[test]
fn kernels_only_compute() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/src");
    let files = sources(&root);
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let found = kernel_violations(&fs::read_to_string(&path).unwrap());
        assert!(found.is_empty(), "{} has {found:?}", path.display());
    }
    let manifest = fs::read_to_string(root.join("../Cargo.toml")).unwrap();
    let listed = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let dependencies = listed.lines().take_while(|line| !line.starts_with('['));
    let mut names = dependencies.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
    assert!(names.all(|name| name == "libm"), "kernels depend on libm at most");
}

#[test]
fn a_wrong_use_is_found() {
    for (module, text, wrong) in [
        ("field", "use crate::grid::AXES;", 0),
        ("field", "use crate::advance::Engine;", 1),
        ("advance", "use crate::{grid::{AXES, Grid}, torus::{run, shape}, clock};", 1),
        ("advance", "use crate::field::Fields;\nfn f() -> crate::torus::halo::Halo {}", 1),
        ("checkpoint", "use crate :: torus\n  :: peers::Peers;", 1),
        ("checkpoint", "use crate::{\n    observe::scan,\n    cli::run,\n};", 2),
        ("observe", "// crate::torus is not named here\nconst S: &str = \"crate::torus \\\" crate::cli\";", 0),
        ("observe", "const C: char = '\"'; use crate::torus;", 1),
        ("observe", "fn f<'a>(x: &'a str) { crate::torus::run() }", 1),
        ("torus", "use crate::cli;", 1),
        ("torus", "use crate::datacenter;", 1),
        ("datacenter", "use crate::torus::halo;", 1),
        ("torus", "use crate::torus::run; use crate::observe::scan;", 0),
        ("cli", "use crate::torus; use crate::checkpoint; use crate::exit::Exit;", 0),
        ("clock", "use crate::grid;", 1),
        ("grid", "use crate::unheard_of::Thing;", 1),
        ("unheard_of", "", 1),
        ("plan", "use ringfort_kernels::crate_like; use other_crate::torus;", 0),
    ] {
        assert_eq!(violations(module, text).len(), wrong, "{module}: {text}: {:?}", violations(module, text));
    }
    for (text, wrong) in [
        ("#![forbid(unsafe_code)]\n//! no unsafe, no std::fs\nuse std::fmt;", 0),
        ("fn f() { unsafe { } }", 1),
        ("use std::fs::File;", 1),
        ("use std :: net;", 1),
        ("fn f() { std::time::Instant::now(); }", 1),
        ("use std::{fmt, fs};", 1),
        ("use std::fmt; let unsafely = 1;", 0),
    ] {
        assert_eq!(kernel_violations(text).len(), wrong, "{text}: {:?}", kernel_violations(text));
    }
}
