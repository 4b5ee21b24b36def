//! The schema against the structs and the check of keys.
//!
//! Invariant: keys are found by walking the schema, so that a new key of a table must be read and described without a
//! change here; a key beside those of the schema is refused.

use serde_json::Value as Json;

use super::*;
use crate::job::document::Document;

/// One TOML value that the schema of a key without alternatives allows.
fn sample(schema: &Json) -> String {
    let kind = &schema["type"];
    let is = |word: &str| kind == word || kind.as_array().is_some_and(|words| words.iter().any(|w| w == word));
    if let Some(first) = schema["enum"].as_array().and_then(|words| words.first()) {
        return first.to_string();
    }
    for alternatives in ["anyOf", "oneOf"] {
        if let Some(first) = schema[alternatives].as_array().and_then(|all| all.first()) {
            return sample(first);
        }
    }
    if let Some(word) = schema.get("const") {
        return word.to_string();
    }
    match () {
        () if is("integer") => "1".to_owned(),
        () if is("number") => "1.5".to_owned(),
        () if is("boolean") => "true".to_owned(),
        () if is("string") => "\"word\"".to_owned(),
        () if is("array") => {
            let count = schema["minItems"].as_u64().unwrap_or(1);
            let items: Vec<String> = (0..count).map(|_| sample(&schema["items"])).collect();
            format!("[{}]", items.join(", "))
        }
        () if is("object") => {
            let entries = schema["properties"].as_object().into_iter().flatten();
            let entries: Vec<String> = entries.map(|(key, inner)| format!("{key} = {}", sample(inner))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        () => panic!("no sample of {schema}"),
    }
}

/// Every key that the schema names is read, and a job with all of them is read whole.
#[test]
fn every_key_of_the_schema_is_accepted() {
    let schema = json();
    let mut text = String::new();
    for (key, inner) in schema["properties"].as_object().unwrap() {
        text.push_str(&format!("{key} = {}\n", sample(inner)));
    }
    let document = Document::new(&text, std::path::Path::new("job.toml"), &[]).unwrap();
    document.check_keys(&schema).unwrap();
    let file: File = document.deserialize().unwrap_or_else(|error| panic!("{text}\n{error}"));
    let all = format!("{file:?}");
    assert!(file.image[0].plane.is_some() && file.torus.deadline.is_some(), "{all}");
    assert!(!all.contains("None"), "every key has its place: {all}");
}

#[test]
fn every_key_is_described() {
    fn walk(schema: &Json, path: &str) {
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            assert!(inner["description"].is_string(), "{path} has no description");
            walk(inner, &path);
            walk(&inner["items"], &path);
        }
    }
    walk(&json(), "");
}

#[test]
fn a_key_beside_those_of_the_schema_is_refused() {
    let schema = json();
    for place in ["", "grid.", "time.", "checkpoint.", "torus.", "fields.a."] {
        let text = format!("{place}qwertz = 1\n");
        let document = Document::new(&text, std::path::Path::new("job.toml"), &[]).unwrap();
        let error = document.check_keys(&schema).unwrap_err().to_string();
        assert!(error.contains("unknown key `qwertz`"), "{place}: {error}");
    }
}
