//! What machine files say, and what is wrong with them.
//!
//! Input: texts in memory; no file is read. Invariant: each mistake is held to the words that a person sees, and to
//! the name of the file in them.

use super::network::Kind;
use super::*;

fn parse(text: &str) -> Result<Machine, String> {
    Machine::parse(text, Path::new("machine.toml")).map_err(|error| format!("{:?}", miette::Report::new(error)))
}

#[test]
fn keys_are_read() {
    let text = "nodes = 8\nranks_per_node = 4\ncores_per_node = 48\nhosts = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"]\n\
                [network]\nkind = \"torus\"\nshape = [2, 4]\nwrap = [false, true]\nbandwidth = 6800000000\nlatency = 5e-7\n\
                missing = [3]\n[model]\nmtbf_hours = 1000\n";
    let machine = parse(text).unwrap();
    assert_eq!((machine.ranks_per_node, machine.cores_per_node, machine.capacity()), (4, 48, 28));
    assert_eq!((machine.network.kind, machine.network.wrap.clone()), (Kind::Torus, vec![false, true]));
    assert_eq!(machine.usable(), [0, 1, 2, 4, 5, 6, 7]);
    assert_eq!([2, 4].map(|node: usize| machine.hosts[node].as_str()), ["c", "d"]);
    assert_eq!((machine.pace.bandwidth, machine.pace.latency_s, machine.pace.mtbf_h), (6.8e9, 5e-7, 1000.0));
    let plain = parse("nodes = 3").unwrap();
    assert_eq!((plain.network.kind, plain.hosts), (Kind::None, vec!["node0".into(), "node1".into(), "node2".into()]));
    assert_eq!(parse("[network]\nkind = \"dragonfly\"\nshape = [3, 4, 2]").unwrap().capacity(), 24);
}

#[test]
fn mistakes_are_pointed_at() {
    let torus = "[network]\nkind = \"torus\"\nshape = [2, 2]\n";
    for (text, words) in [
        ("nodes = 4\nrank_per_node = 2".to_owned(), "did you mean `ranks_per_node`"),
        (format!("{torus}bandwith = 1e9"), "did you mean `bandwidth`"),
        ("nodes = [4".to_owned(), "the machine file is not valid TOML"),
        ("nodes = 0".to_owned(), "nodes: 0: give 1 to"),
        (String::new(), "say how many nodes"),
        ("[network]\nkind = \"torus\"".to_owned(), "network.shape: missing"),
        ("[network]\nkind = \"thorus\"\nshape = [2]".to_owned(), "did you mean `torus`"),
        (format!("nodes = 5\n{torus}"), "has 4 places"),
        (format!("{torus}missing = [4]"), "no node 4"),
        (format!("{torus}missing = [1, 1]"), "named twice"),
        (format!("{torus}missing = [0, 1, 2, 3]"), "no node is left"),
        (format!("{torus}wrap = [true]"), "1 words for 2 axes"),
        (format!("{torus}latency = -1.0"), "above 0"),
        (format!("{torus}oversubscription = 2.0"), "only switches"),
        (format!("hosts = [\"a\"]\n{torus}"), "1 names for 4 nodes"),
        (format!("hosts = [\"a\", \"b\", \"a\", \"d\"]\n{torus}"), "`a` is named twice"),
        (format!("hosts = [\"a b\", \"b\", \"c\", \"d\"]\n{torus}"), "no name of a host"),
        ("[network]\nkind = \"dragonfly\"\nshape = [3, 4]".to_owned(), "give 3 to 3"),
        ("[network]\nkind = \"dragonfly\"\nshape = [1, 16777216, 1]".to_owned(), "links between routers in all"),
        ("[network]\nkind = \"torus\"\nshape = [100000, 100000]".to_owned(), "nodes in all"),
    ] {
        let error = parse(&text).unwrap_err();
        let flat: String =
            error.split_whitespace().filter(|word| !["│", "×"].contains(word)).collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words) && error.contains("machine.toml"), "{text}: {error}");
    }
}
