//! Job texts with one mistake each, and the words that the message must hold.
#![allow(unreachable_pub, reason = "shared by test binaries")]

/// A job text with the words that its error must hold.
pub struct Case {
    /// What is bad.
    pub name: &'static str,
    /// The job file.
    pub text: String,
    /// What the message must hold.
    pub words: &'static [&'static str],
}

/// The good job, in which `from` (which must be there) is replaced by `to`.
fn case(name: &'static str, from: &str, to: &str, words: &'static [&'static str]) -> Case {
    assert!(GOOD.contains(from), "{name}: {from}");
    Case { name, text: GOOD.replacen(from, to, 1), words }
}

impl Case {
    /// The same with one more change, and these words.
    fn with(mut self, from: &str, to: &str, words: &'static [&'static str]) -> Self {
        assert!(self.text.contains(from), "{}: {from}", self.name);
        self.text = self.text.replacen(from, to, 1);
        self.words = words;
        self
    }
}

/// A good job: all others differ from it in one thing.
pub const GOOD: &str = r#"name = "good"
[grid]
points = [3, 4]
spacing = [0.5, 0.5]
origin = [0.0, 1.0]
boundary = ["wall", ["fixed", "open"]]
[kernel]
name = "heat"
precision = "f64"
[fields]
temperature = { file = "good.npy" }
diffusivity = { formula = "1 + x^2 + y" }
[time]
steps = 10
dt = 0.001
[checkpoint]
every = "5 steps"
keep = 2
[[image]]
field = "temperature"
every = "2 steps"
[torus]
ranks = [1, 2]
steps_per_exchange = 2
deadline = "2 min"
"#;

const FILE: &str = r#"{ file = "good.npy" }"#;
const FORMULA: &str = r#""1 + x^2 + y""#;
const TORUS: &str = "[torus]\nranks = [1, 2]\nsteps_per_exchange = 2\ndeadline = \"2 min\"\n";

/// All bad jobs.
pub fn all() -> Vec<Case> {
    [shapes(), later(), numbers(), images(), reduces(), probes(), outputs(), inputs(), formulas()]
        .into_iter()
        .flatten()
        .collect()
}

fn shapes() -> Vec<Case> {
    vec![
        case("syntax", "[grid]", "[grid", &["not valid TOML", ":2:"]),
        case("key given twice", "steps = 10", "steps = 10\nsteps = 11", &["not valid TOML", "duplicate key"]),
        case("no points", "points = [3, 4]\n", "", &["grid.points is missing", ":2:1"]),
        case("no kernel name", "name = \"heat\"\n", "", &["kernel.name is missing"]),
        case("no steps", "steps = 10\n", "", &["time.steps is missing"]),
        case(
            "unknown table",
            "[torus]",
            "[tours]",
            &["unknown key `tours` in the job; did you mean `torus`?", ":22:2"],
        ),
        case("unknown key in grid", "spacing", "spacin", &["unknown key `spacin` in [grid]; did you mean `spacing`?"]),
        case("unknown key in kernel", "precision", "precison", &["unknown key `precison`", "`precision`", ":9:1"]),
        case("unknown key in fields", "diffusivity", "difusivity", &["[fields] of heat; did you mean `diffusivity`?"]),
        case("unknown key of a field", "file =", "fil =", &["unknown key `fil` in [fields.temperature]", "`file`"]),
        case("unknown key in time", "dt =", "delta_t =", &["unknown key `delta_t` in [time]"]),
        case("unknown key in checkpoint", "keep", "kepe", &["unknown key `kepe`", "did you mean `keep`?", ":18:1"]),
        case("unknown key in image", "field =", "feild =", &["unknown key `feild` in [image]", "`field`"]),
        case("unknown key in torus", "ranks", "rank", &["unknown key `rank` in [torus]; did you mean `ranks`?"]),
        case("points as word", "points = [3, 4]", "points = \"3x4\"", &["grid.points", "expected a list", ":3:10"]),
        case("points with fraction", "[3, 4]", "[3, 4.5]", &["floating point `4.5`", "expected a whole number"]),
        case("negative points", "[3, 4]", "[3, -4]", &["integer `-4`", "whole number, 0 or more", ":3:14"]),
        case("dt as word", "0.001", "\"fast\"", &["time.dt", "expected a number", ":15:6"]),
        case("table as number", TORUS, "", &[]).with(
            "\"good\"",
            "\"good\"\ntorus = 3",
            &["torus: ", "integer `3`", ":2:9"],
        ),
        case("field as word", FILE, "\"hot\"", &["fields.temperature", "expected a number, { formula"]),
        case("unknown precision", "\"f64\"", "\"f16\"", &["unknown variant `f16`", "`f32` or `f64`", ":9:13"]),
        case(
            "unknown boundary",
            "[\"wall\",",
            "[\"wal\",",
            &["\"periodic\", \"wall\", \"fixed\" or \"open\"", ":6:13"],
        ),
        case("boundary of three", "[\"fixed\", ", "[\"open\", \"fixed\", ", &["or a pair [low, high]", ":6:21"]),
        case("unknown units", "points", "units = \"km\"\npoints", &["unknown variant `km`", "`m` or `degrees`"]),
    ]
}

fn later() -> Vec<Case> {
    let mut cases = vec![
        case("machine", "ranks", "machine = \"m\"\nranks", &["`machine` in [torus] is not yet supported"]),
        case(
            "start from a run",
            FILE,
            "{ checkpoint = \"run/step-1\" }",
            &["cannot start from", "MANIFEST is damaged: the file is missing", ":11:30"],
        ),
        case(
            "lease",
            "[torus]",
            "[datacenter]\nlease = \"3\"\n[torus]",
            &["`3`: give a time from \"0.5 s\" to \"24 h\""],
        ),
        case("Zarr", "good.npy", "store.zarr", &["store.zarr: Zarr arrays are not yet supported"]),
    ];
    let source = "[[source]]\nat = [0.5, 2]\nfield = \"temperature\"\nwavelet = \"ricker\"\nfrequency = 1\namplitude = 1\n[torus]";
    let words = &["source.0.field: unknown field `diffusivity`; known are: temperature", ":24:9"];
    cases.push(case("source of a coefficient", "[torus]", &source.replace("temperature", "diffusivity"), words));
    cases.push(case(
        "source without a place",
        "[torus]",
        "[[source]]\nfield = \"x\"\n[torus]",
        &["source.at is missing"],
    ));
    cases
}

fn numbers() -> Vec<Case> {
    vec![
        case("no axes", "[3, 4]", "[]", &["0 axes; give 1 to 4"]),
        case("five axes", "[3, 4]", "[1, 1, 1, 1, 1]", &["5 axes; give 1 to 4"]),
        case("no points along an axis", "[3, 4]", "[3, 0]", &["0 points along an axis; give 1 to 2^40", ":3:14"]),
        case("huge axis", "[3, 4]", "[3, 4000000000000]", &["points along an axis; give 1 to 2^40"]),
        case("huge grid", "[3, 4]", "[1099511627776, 1099511627776]", &["2^48 points or more"]),
        case("points beyond 64 bits", "[3, 4]", "[3, 99999999999999999999999]", &[":3:14"]),
        case("spacing of one axis", "[0.5, 0.5]", "[0.5]", &["1 entries for 2 axes", ":4:11"]),
        case("spacing zero", "[0.5, 0.5]", "[0.5, 0.0]", &["0 is not above 0", ":4:17"]),
        case("spacing infinite", "[0.5, 0.5]", "[inf, 0.5]", &["inf is not a finite number", ":4:12"]),
        case("coordinates overflow", "[0.5, 0.5]", "[1e308, 0.5]", &["coordinates along y overflow"]),
        case("origin NaN", "[0.0, 1.0]", "[0.0, nan]", &["not a finite number", ":5:16"]),
        case("periodic on one side", "\"fixed\", ", "\"periodic\", ", &["periodic on one side only", ":6:21"]),
        case("degrees", "points", "units = \"degrees\"\npoints", &["the kernel heat knows no degrees", ":3:9"]),
        case("both dt and courant", "dt =", "courant = 0.9\ndt =", &["both dt and courant are given", ":15:11"]),
        case("neither dt nor courant", "dt = 0.001\n", "", &["time.dt is missing", "courant"]),
        case("dt zero", "0.001", "0", &["0 makes no time step"]),
        case("dt infinite", "0.001", "inf", &["inf makes no time step"]),
        case("time overflows", "0.001", "1e308", &["the time of the last step overflows"]),
        case("courant negative", "dt = 0.001", "courant = -1", &["-1 makes no time step"]),
        case("too many steps", "steps = 10", "steps = 9007199254740993", &["the most is 2^53", ":14:9"]),
        case("steps negative", "steps = 10", "steps = -1", &["time.steps", "whole number, 0 or more"]),
        case("mtbf", "keep = 2", "mtbf = \"often\"", &["checkpoint.mtbf", "`often` is no duration", ":18:8"]),
        case("keep_every", "keep = 2", "keep_every = \"3 min\"", &["what is kept is counted in steps", ":18:14"]),
        case("keep zero", "keep = 2", "keep = 0", &["checkpoint.keep", "no checkpoint to restart from", ":18:8"]),
        case("every fortnight", "5 steps", "a fortnight", &["`a fortnight` is no interval", ":17:9"]),
        case("every zero steps", "5 steps", "0 steps", &["at least 1"]),
        case("zero steps per exchange", "exchange = 2", "exchange = 0", &["torus.steps_per_exchange", ":24:22"]),
        case("deadline", "2 min", "2 weeks", &["`2 weeks` is no duration"]),
        case("ranks of one axis", "[1, 2]", "[2]", &["1 entries for 2 axes"]),
        case("more ranks than points", "[1, 2]", "[1, 5]", &["5 ranks along an axis of 4 points"]),
        case("empty name", "\"good\"", "\"\"", &["1 to 200 printable characters", ":1:8"]),
        case("unknown kernel", "\"heat\"", "\"heta\"", &["unknown kernel `heta`; did you mean `heat`?", ":8:8"]),
    ]
}

fn images() -> Vec<Case> {
    let image =
        |name, more: &str, words| case(name, "every = \"2 steps\"\n", &format!("every = \"2 steps\"\n{more}\n"), words);
    let solid = |name, more: &str, words| {
        let case = image(name, more, words).with("[3, 4]", "[3, 4, 5]", words);
        let case = case.with("[0.5, 0.5]", "[0.5, 0.5, 0.5]", words).with("[0.0, 1.0]", "[0.0, 0.0, 0.0]", words);
        let case = case.with("[\"wall\", [", "[\"wall\", \"wall\", [", words).with("ranks = [1, 2]\n", "", words);
        case.with(FILE, "1.0", words)
    };
    vec![
        case(
            "image of nothing",
            "field = \"temperature\"",
            "field = \"pressure\"",
            &["unknown field `pressure`", ":20:9"],
        ),
        case(
            "image of what is not given",
            "field = \"temperature\"",
            "field = \"perfusion\"",
            &["gives no `perfusion`"],
        ),
        case("image by the clock", "\"2 steps\"", "\"2 min\"", &["images follow steps"]),
        image("plane of a plane", "plane = \"y=1\"", &["1 cuts; a grid of 2 axes needs 0"]),
        image("colours", "colors = \"virids\"", &["unknown colour map `virids`; did you mean `viridis`?", ":22:10"]),
        image("range", "range = [2, 1]", &["[2.0, 1.0] is no range"]),
        image("range of three", "range = [1, 2, 3]", &["[1.0, 2.0, 3.0] is no range", ":22:9"]),
        solid("plane outside", "plane = \"z=9\"", &["z = 9 lies outside the grid, which spans 0 to 1"]),
        solid("plane across no axis", "plane = \"w=0\"", &["`w=0` is no plane", "(z, y, x)"]),
        solid("plane at no number", "plane = \"z=here\"", &["is no plane"]),
        solid("plane at NaN", "plane = \"z=nan\"", &["lies outside"]),
        solid("two planes", "plane = \"z=0, y=0\"", &["2 cuts; a grid of 3 axes needs 1"]),
        solid("one plane twice", "plane = \"z=0, z=1\"", &["cuts the axis z twice"]),
    ]
}

const PROBE: &str = "[[probe]]\nname = \"p\"\nat = [0.5, 2]\nfield = \"temperature\"\nevery = \"2 steps\"\n";

fn probes() -> Vec<Case> {
    // A good probe before `[torus]`, from line 22 on, in which `from` is replaced by `to`.
    let probe = |name, from: &str, to: &str, words| {
        assert!(PROBE.contains(from), "{name}: {from}");
        case(name, "[torus]", &format!("{}[torus]", PROBE.replacen(from, to, 1)), words)
    };
    vec![
        probe("probe without name", "name = \"p\"\n", "", &["name is missing", ":22:1"]),
        probe("probe without a place", "at = [0.5, 2]\n", "", &["at is missing"]),
        probe("probe called like a path", "\"p\"", "\"../p\"", &["`../p` is no name", "letters, digits", ":23:8"]),
        probe("probe on one axis", "[0.5, 2]", "[0.5]", &["1 entries for 2 axes", ":24:6"]),
        probe(
            "probe outside",
            "[0.5, 2]",
            "[0.5, 3]",
            &["x = 3 lies outside the grid, which spans 1 to 2.5", ":24:12"],
        ),
        probe("probe at NaN", "[0.5, 2]", "[nan, 2]", &["y = NaN lies outside", ":24:7"]),
        probe(
            "probe of nothing",
            "\"temp",
            "\"tmp",
            &["unknown field `tmperature`; did you mean `temperature`?", ":25:9"],
        ),
        probe("probe of what is not given", "temperature", "perfusion", &["gives no `perfusion`", ":25:9"]),
        probe("probe by the clock", "2 steps", "2 min", &["probes follow steps; write \"N steps\"", ":26:9"]),
        probe("unknown key in probe", "at", "att", &["unknown key `att` in [probe]; did you mean `at`?", ":24:1"]),
        case("one name for two probes", "[torus]", &format!("{PROBE}{PROBE}[torus]"), &["names two probes", ":28:8"]),
    ]
}

const OUTPUT: &str =
    "[[output]]\nfields = [\"temperature\"]\nevery = \"2 steps\"\nstride = [1, 2]\ntype = \"f32\"\nname = \"o\"\n";

fn outputs() -> Vec<Case> {
    // A good output before `[torus]`, from line 22 on, in which `from` is replaced by `to`.
    let output = |name, from: &str, to: &str, words| {
        assert!(OUTPUT.contains(from), "{name}: {from}");
        case(name, "[torus]", &format!("{}[torus]", OUTPUT.replacen(from, to, 1)), words)
    };
    vec![
        output("output without fields", "fields = [\"temperature\"]\n", "", &["fields is missing", ":22:1"]),
        output("output of no field", "[\"temperature\"]", "[]", &["it names no field", ":23:10"]),
        output(
            "output of nothing",
            "temp",
            "tmp",
            &["unknown field `tmperature`; did you mean `temperature`?", ":23:11"],
        ),
        output(
            "output of one field twice",
            "[\"temperature\"]",
            "[\"temperature\", \"temperature\"]",
            &["`temperature` is named twice", ":23:26"],
        ),
        output("output of what is not given", "temperature", "perfusion", &["gives no `perfusion`"]),
        output("output by the clock", "2 steps", "1 h", &["outputs follow steps", ":24:9"]),
        output("stride of one axis", "[1, 2]", "[2]", &["1 entries for 2 axes", ":25:10"]),
        output("stride of nothing", "[1, 2]", "[1, 0]", &["every 0 points along an axis of 4; give 1 to 4", ":25:14"]),
        output("stride beyond the grid", "[1, 2]", "[4, 1]", &["every 4 points along an axis of 3", ":25:11"]),
        output("output in halves", "f32", "f16", &["f16", "f32", ":26:8"]),
        output("output called nothing", "\"o\"", "\"\"", &["`` is no name", ":27:8"]),
        output("unknown key in output", "stride", "strid", &["unknown key `strid` in [output]; did you mean", ":25:1"]),
        case(
            "two outputs of one name",
            "[torus]",
            &format!("{0}{0}[torus]", OUTPUT.replace("name = \"o\"\n", "")),
            &["two outputs would be written to fields.zarr", "a name of its own"],
        ),
    ]
}

const REDUCE: &str = "[[reduce]]\nname = \"heat\"\nmap = \"temperature\"\nwith = \"sum\"\nevery = \"2 steps\"\n";

fn reduces() -> Vec<Case> {
    // A good reduce before `[torus]`, from line 22 on, in which `from` is replaced by `to`.
    let reduce = |name, from: &str, to: &str, words| {
        assert!(REDUCE.contains(from), "{name}: {from}");
        case(name, "[torus]", &format!("{}[torus]", REDUCE.replacen(from, to, 1)), words)
    };
    let map = |name, map: &str, words| reduce(name, "\"temperature\"", &format!("\"{map}\""), words);
    let bins = |name, bins: &str, words| reduce(name, "\"sum\"", &format!("\"histogram\"\n{bins}"), words);
    vec![
        reduce("reduce without name", "name = \"heat\"\n", "", &["name is missing", ":22:1"]),
        reduce("reduce without map", "map = \"temperature\"\n", "", &["map is missing"]),
        reduce("reduce without every", "every = \"2 steps\"\n", "", &["every is missing"]),
        reduce(
            "unknown key in reduce",
            "with",
            "wiht",
            &["unknown key `wiht` in [reduce]; did you mean `with`?", ":25:1"],
        ),
        reduce(
            "reduce with something else",
            "sum",
            "summ",
            &["unknown reduction `summ`; did you mean `sum`?", ":25:8"],
        ),
        reduce("reduce every zero steps", "2 steps", "0 steps", &["`0 steps`", "at least 1", ":26:9"]),
        reduce("reduce by the clock", "2 steps", "2 min", &["reduces follow steps", ":26:9"]),
        reduce("reduce called nothing", "\"heat\"", "\"\"", &["reduce.0.name: `` is no name", ":23:8"]),
        reduce("reduce with a comma", "\"heat\"", "\"a,b\"", &["`a,b` is no name", "letters, digits", ":23:8"]),
        reduce("reduce across lines", "\"heat\"", "\"a\\nb\"", &["is no name"]),
        reduce("bins of a sum", "every", "bins = 3\nevery", &["bins: it belongs to a histogram; remove it", ":26:8"]),
        case(
            "one name for two reduces",
            "[torus]",
            &format!("{REDUCE}{REDUCE}[torus]"),
            &["names two reduces", ":28:8"],
        ),
        map(
            "reduce of an unknown field",
            "2*temprature",
            &["unknown name `temprature`; did you mean `temperature`?", ":24:10"],
        ),
        map(
            "reduce of nothing known",
            "pressure",
            &["fields are temperature, diffusivity, perfusion", "y, x", ":24:8"],
        ),
        map("reduce of what is not given", "perfusion", &["the job gives no `perfusion`", ":24:7"]),
        map("reduce of a bad formula", "(temperature", &["`)` is missing", ":24:20"]),
        map("reduce of an empty formula", "", &["ends too early", ":24:7"]),
        map("reduce of an unknown function", "squared(temperature)", &["unknown function `squared`", ":24:8"]),
        bins("histogram without bins", "low = 0\nhigh = 1", &["bins is missing", "bins = 10, low = 0.0, high = 1.0"]),
        bins("histogram without low", "bins = 3\nhigh = 1", &["low is missing"]),
        bins("histogram without high", "bins = 3\nlow = 0", &["high is missing"]),
        bins("histogram of no bins", "bins = 0\nlow = 0\nhigh = 1", &["0 bins; give 1 to 65536", ":26:8"]),
        bins("histogram of many bins", "bins = 65537\nlow = 0\nhigh = 1", &["65537 bins; give 1 to 65536"]),
        bins("histogram upside down", "bins = 3\nlow = 1\nhigh = 0", &["0 is not above low = 1", ":28:8"]),
        bins("histogram to infinity", "bins = 3\nlow = 1\nhigh = inf", &["inf is not a finite number", ":28:8"]),
        bins("histogram of slivers", "bins = 9\nlow = 1e9\nhigh = 1000000000.0000001", &["cannot be told apart"]),
    ]
}

fn inputs() -> Vec<Case> {
    let file = |name, value: &str, words| case(name, FILE, value, words);
    let table = "{ formula = \"1 + x^2 + y\" }";
    vec![
        case(
            "component missing",
            &format!("temperature = {FILE}\n"),
            "",
            &["fields.temperature is missing; the kernel heat needs it"],
        ),
        case("coefficient missing", &format!("diffusivity = {table}\n"), "", &["fields.diffusivity is missing"]),
        file(
            "file missing",
            "{ file = \"none.npy\" }",
            &["cannot open", "none.npy", "relative to the job file", ":11:24"],
        ),
        file("folder as input", "{ file = \"folder\" }", &["folder is a folder, not a regular file"]),
        file("device as input", "{ file = \"/dev/zero\" }", &["/dev/zero is a device or pipe"]),
        file("pipe as input", "{ file = \"pipe\" }", &["pipe is a device or pipe"]),
        file("empty file", "{ file = \"empty.npy\" }", &["empty.npy", "no .npy file"]),
        file("text as array", "{ file = \"note.txt\" }", &["no .npy file"]),
        file("file cut short", "{ file = \"cut.npy\" }", &["cut.npy", "cut short or damaged"]),
        file("lying header", "{ file = \"lying.npy\" }", &["lying.npy", "impossible shape"]),
        file("header longer than the file", "{ file = \"long.npy\" }", &["the header is cut off"]),
        file("big-endian", "{ file = \"big.npy\" }", &["big-endian", "astype('<f8')"]),
        file("Fortran order", "{ file = \"fortran.npy\" }", &["Fortran order", "ascontiguousarray"]),
        file("wrong shape", "{ file = \"wide.npy\" }", &["shape [5, 6], the grid has [3, 4] points", "`start`"]),
        file("box beyond the array", "{ file = \"wide.npy\", start = [3, 0] }", &["does not fit", "[5, 6]", ":11:44"]),
        file("start of one axis", "{ file = \"wide.npy\", start = [0] }", &["start has 1 entries for the 2 axes"]),
        file("NaN in an input", "{ file = \"nan.npy\" }", &["nan.npy holds NaN at [1, 2]", ":11:"]),
        file("infinity in an input", "{ file = \"inf.npy\" }", &["inf.npy holds -inf at [0, 0]"]),
        file(
            "label beyond the table",
            "{ file = \"labels.npy\", values = [1, 2, 3] }",
            &["label 7 at [2, 3]", "of 3 values"],
        ),
        file("labels of fractions", "{ file = \"good.npy\", values = [1, 2] }", &["table for labels", "f64"]),
        file("value NaN in the table", "{ file = \"labels.npy\", values = [1, nan] }", &["not a finite number"]),
        file("formula and file", "{ file = \"good.npy\", formula = \"x\" }", &["both a formula and a file"]),
        file("neither formula nor file", "{ start = [0, 0] }", &["neither a formula nor a file"]),
        file("number infinite", "inf", &["inf is not a finite number", ":11:15"]),
        file("too large for f32", "1e39", &[]).with("f64", "f32", &["not a finite number in the job's precision"]),
        case("number too small", table, "-1.0", &["-1 is below the least value", ":12:15"]),
        case("negative in a file", table, FILE, &["holds -1 at [0, 1]", "least value"]),
    ]
}

fn formulas() -> Vec<Case> {
    let formula = |name, value: &str, words| case(name, FORMULA, value, words);
    vec![
        formula("negative", "\"2 - x\"", &["gives -0.5 at cell [0, 3] (y = 0, x = 2.5)", ":12:"]),
        formula("of nothing", "\"1 / (x - 1)\"", &["gives inf at cell [0, 0]", "must be finite"]),
        formula("cut off", "\"1 + (x\"", &["`)` is missing", ":12:34"]),
        formula("of unknowns", "\"1 + lat\"", &["unknown name `lat`; coordinates are y, x", ":12:32"]),
        formula("of unknown function", "\"cosine(x)\"", &["unknown function `cosine`", ":12:28"]),
        formula("empty", "\"\"", &["ends too early"]),
        formula("as number", "3", &["fields.diffusivity", "expected a number, { formula"]),
        formula("with start", "\"x\", start = [0, 0]", &["belongs to a file"]),
        formula("too deep", &format!("\"{}\"", "(".repeat(4000)), &["nested too deeply"]),
    ]
}
