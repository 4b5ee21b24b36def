//! What `plan` says of a job on a machine, what it writes for launchers, and that Open MPI places ranks as written.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Exit code, standard output and standard error of `ringfort plan job.toml ARGS` in `folder`.
fn plan(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfort"));
    let run = command.args(["plan", "job.toml"]).args(args).current_dir(folder).output().unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (run.status.code().unwrap(), out, err.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A folder with a job of `points`, all boundaries `boundary`, and a machine.
fn prepared(points: &[usize], boundary: &str, machine: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let boundaries = vec![format!("{boundary:?}"); points.len()].join(", ");
    let job = format!(
        "name = \"box\"\n[grid]\npoints = {points:?}\nboundary = [{boundaries}]\n[kernel]\nname = \"heat\"\n[fields]\n\
         temperature = 1.0\ndiffusivity = 0.1\n[time]\nsteps = 10\ndt = 0.1\n"
    );
    fs::write(folder.path().join("job.toml"), job).unwrap();
    fs::write(folder.path().join("m.toml"), machine).unwrap();
    folder
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

const TORUS: &str =
    "ranks_per_node = 4\ncores_per_node = 8\n[network]\nkind = \"torus\"\nshape = [2, 3, 4]\nbandwidth = 1e10\n";

#[test]
fn the_report_has_its_keys() {
    let folder = prepared(&[500, 480], "wall", "nodes = 50\nranks_per_node = 48\n[network]\nkind = \"none\"\n");
    let args = ["--machine", "m.toml", "--set", "torus.ranks=[50,48]", "--json"];
    let (code, out, err) = plan(folder.path(), &args);
    assert_eq!((code, err.as_str()), (0, ""));
    let report = json(&out);
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "cuts",
            "ranks",
            "inter_node_edges",
            "worst_node_edges",
            "lower_bound_edges",
            "lower_bound_worst",
            "hop_bytes",
            "dilation",
            "max_link_load",
            "seconds_per_step",
            "weak_scaling_efficiency",
            "assumptions",
        ]
    );
    assert_eq!((&report["cuts"], &report["ranks"]), (&serde_json::json!([50, 48]), &2400.into()));
    assert_eq!((&report["inter_node_edges"], &report["worst_node_edges"]), (&1204.into(), &28.into()));
    assert_eq!(report["lower_bound_edges"], 1204);
    let efficiency = report["weak_scaling_efficiency"].as_f64().unwrap();
    assert!(efficiency > 0.0 && efficiency < 1.0 && report["seconds_per_step"].as_f64().unwrap() > 0.0);
    assert!(
        report["assumptions"].as_array().unwrap().iter().any(|words| words.as_str().unwrap().contains("1,000,000"))
    );
    assert_eq!(plan(folder.path(), &args).1, out, "the same again");

    let (code, text, _) = plan(folder.path(), &["--machine", "m.toml", "--ranks", "2400", "--picture", "map.png"]);
    assert_eq!(code, 0);
    for word in ["cuts", "map", "edges", "worst node", "links", "step", "checkpoint", "weak scaling", "assumed"] {
        assert!(text.lines().any(|line| line.starts_with(word)), "{word} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(fs::read(folder.path().join("map.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn cuts_alone_need_no_machine() {
    let folder = prepared(&[720, 1080], "periodic", TORUS);
    let (code, out, _) = plan(folder.path(), &["--ranks", "24", "--json"]);
    assert_eq!((code, &json(&out)["cuts"]), (0, &serde_json::json!([4, 6])));
    let (code, _, err) = plan(folder.path(), &["--ranks", "1511"]);
    assert!(code == 2 && err.contains("cannot be cut into 1511 parts; use 1508 or 1512 ranks"), "{err}");
    assert!(plan(folder.path(), &[]).2.contains("without a machine give --ranks"));
}

#[test]
fn the_machine_is_filled() {
    let folder = prepared(&[96, 60, 64], "periodic", TORUS);
    let (_, out, err) = plan(folder.path(), &["--machine", "m.toml", "--json"]);
    let report = json(&out);
    assert_eq!(report["ranks"], 96, "{err}");
    assert!(report["max_link_load"].as_f64().unwrap() >= report["lower_bound_worst"].as_f64().unwrap() / 6.0);
    let (code, _, err) = plan(folder.path(), &["--machine", "m.toml", "--ranks", "97"]);
    assert!(code == 2 && err.contains("97 ranks do not fit the machine, which has room for 96"), "{err}");
    fs::write(folder.path().join("m.toml"), format!("{TORUS}bandwith = 1")).unwrap();
    let (code, _, err) = plan(folder.path(), &["--machine", "m.toml"]);
    assert!(code == 2 && err.contains("unknown key `bandwith` in [network]; did you mean `bandwidth`?"), "{err}");
    assert!(plan(folder.path(), &["--machine", "m.toml", "--write", "rankfil"]).2.contains("did you mean `rankfile`"));
}

/// Node names of all ranks as each format says them.
struct Read<'a>(&'a Path);

impl Read<'_> {
    fn text(&self, format: &str) -> String {
        let (code, out, err) = plan(self.0, &["--machine", "m.toml", "--write", format]);
        assert_eq!(code, 0, "{err}");
        out
    }

    /// Hosts by rank, slots' cores by rank.
    fn rankfile(&self) -> (Vec<String>, Vec<String>) {
        let text = self.text("rankfile");
        let lines = text.lines().enumerate().map(|(rank, line)| {
            let (host, slot) = line.strip_prefix(&format!("rank {rank}=")).unwrap().split_once(" slot=").unwrap();
            (host.to_owned(), slot.to_owned())
        });
        lines.unzip()
    }

    /// Hosts in the order of the file, with their ranks.
    fn rank_order(&self) -> Vec<(String, Vec<usize>)> {
        let text = self.text("mpich-rank-order");
        let lines: Vec<&str> = text.lines().collect();
        let pair = |pair: &[&str]| {
            let ranks = pair[1].split(',').map(|rank| rank.parse().unwrap()).collect();
            (pair[0].strip_prefix("# ").unwrap().to_owned(), ranks)
        };
        lines.chunks(2).map(pair).collect()
    }
}

#[test]
fn all_formats_say_the_same_map() {
    let machine = TORUS.replace("cores", "hosts = [\"c23\"]\ncores").replace(
        "[\"c23\"]",
        &format!("{:?}", (0..24).map(|node| format!("c{}-{}", node / 4, node % 4)).collect::<Vec<_>>()),
    );
    let folder = prepared(&[96, 60, 64], "periodic", &machine);
    let read = Read(folder.path());
    let csv = read.text("csv");
    assert_eq!(csv.lines().next(), Some("rank,node,host,z,y,x"));
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let number = |text: &str| text.parse::<usize>().unwrap();
    let (_, out, _) = plan(folder.path(), &["--machine", "m.toml", "--json"]);
    let report = json(&out);
    let cuts: Vec<usize> = serde_json::from_value(report["cuts"].clone()).unwrap();
    for (rank, row) in rows.iter().enumerate() {
        assert_eq!(number(row[0]), rank);
        assert_eq!(row[2], format!("c{}-{}", number(row[1]) / 4, number(row[1]) % 4));
        let cell = row[3..].iter().zip(&cuts).fold(0, |cell, (at, length)| cell * length + number(at));
        assert_eq!(cell, rank, "rank r is cell r, slowest axis first");
    }
    let hosts: Vec<String> = rows.iter().map(|row| row[2].to_owned()).collect();
    assert_eq!(read.text("slurm-hostfile").lines().collect::<Vec<_>>(), hosts);
    assert_eq!(read.text("simgrid").lines().collect::<Vec<_>>(), hosts);
    let (named, slots) = read.rankfile();
    assert_eq!(named, hosts);
    let mut seen = BTreeMap::new();
    for (host, slot) in named.iter().zip(&slots) {
        seen.entry(host).or_insert_with(Vec::new).push(slot.as_str());
    }
    assert!(seen.values().all(|slots| slots == &["0-1", "2-3", "4-5", "6-7"]), "{seen:?}");
    for (host, ranks) in read.rank_order() {
        assert!(ranks.len() == 4 && ranks.iter().all(|&rank| hosts[rank] == host), "{host}: {ranks:?}");
    }
    let places: Vec<usize> = read
        .text("fujitsu")
        .lines()
        .map(|line| {
            let inside = line.strip_prefix('(').unwrap().strip_suffix(')').unwrap();
            inside.split(',').map(number).zip([2, 3, 4]).fold(0, |node, (at, length)| node * length + at)
        })
        .collect();
    assert_eq!(places, rows.iter().map(|row| number(row[1])).collect::<Vec<_>>());

    let (code, out, _) =
        plan(folder.path(), &["--machine", "m.toml", "--write", "csv=map.csv", "--write", "simgrid=hosts"]);
    assert!(code == 0 && out.starts_with("job"));
    assert_eq!(fs::read_to_string(folder.path().join("map.csv")).unwrap(), csv);
    assert_eq!(edges(&rows, &cuts), report["inter_node_edges"].as_u64().unwrap());
}

/// Directed edges between nodes of a periodic process grid, from the rows of the table.
fn edges(rows: &[Vec<&str>], cuts: &[usize]) -> u64 {
    let mut count = 0;
    for (rank, row) in rows.iter().enumerate() {
        for axis in (0..cuts.len()).filter(|&axis| cuts[axis] > 1) {
            let stride: usize = cuts[axis + 1..].iter().product();
            let at = rank / stride % cuts[axis];
            for next in [(at + 1) % cuts[axis], (at + cuts[axis] - 1) % cuts[axis]] {
                count += u64::from(rows[rank - at * stride + next * stride][1] != row[1]);
            }
        }
    }
    count
}

#[test]
fn what_a_format_cannot_say_is_refused() {
    let folder = prepared(&[40, 60], "wall", "nodes = 12\nranks_per_node = 4\n");
    let refused = plan(folder.path(), &["--machine", "m.toml", "--write", "fujitsu"]);
    assert!(refused.0 == 2 && refused.2.contains("which this machine is not"), "{}", refused.2);
    let both = plan(folder.path(), &["--machine", "m.toml", "--write", "csv", "--json"]);
    assert!(both.0 == 2 && both.2.contains("standard output takes one"), "{}", both.2);
}

#[test]
fn example_machines_are_sound() {
    let folder = prepared(&[512, 512, 512], "periodic", "nodes = 1");
    for name in ["fugaku", "bluegene-q", "tpu-pod", "fat-tree"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/machines/{name}.toml"));
        let (code, out, err) = plan(folder.path(), &["--machine", path.to_str().unwrap(), "--ranks", "512", "--json"]);
        assert_eq!(code, 0, "{name}: {err}");
        let report = json(&out);
        assert!(report["weak_scaling_efficiency"].as_f64().unwrap() > 0.1, "{name}: {report}");
    }
}

/// Where Open MPI's launcher is; where it is not, the rankfile is checked by reading it alone.
fn openmpi() -> Option<String> {
    let named = std::env::var("RINGFORT_MPIRUN").ok();
    let candidates = named.into_iter().chain(["mpirun.openmpi".to_owned(), "mpirun".to_owned()]);
    candidates.into_iter().find(|name| {
        let said = Command::new(name).arg("--version").output();
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("Open"))
    })
}

#[test]
fn open_mpi_places_ranks_as_the_rankfile_says() {
    let cores = std::thread::available_parallelism().unwrap().get().min(2);
    let Some(mpirun) = openmpi() else {
        eprintln!("SKIPPED  ranks on their cores: no Open MPI on the PATH; install one with scripts/setup.sh");
        return;
    };
    let machine = format!("nodes = 1\nranks_per_node = 4\ncores_per_node = {cores}\nhosts = [\"localhost\"]\n");
    let folder = prepared(&[40, 60], "wall", &machine);
    assert_eq!(plan(folder.path(), &["--machine", "m.toml", "--write", "rankfile=ranks"]).0, 0);
    let script = "echo $OMPI_COMM_WORLD_RANK $(grep Cpus_allowed_list /proc/self/status)";
    let said = Command::new(&mpirun)
        .args(["--oversubscribe", "-np", "4", "--rankfile", "ranks", "sh", "-c", script])
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let [out, err] = [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    let rankfile = fs::read_to_string(folder.path().join("ranks")).unwrap();
    let wanted: Vec<String> = rankfile
        .lines()
        .enumerate()
        .map(|(rank, line)| format!("{rank} Cpus_allowed_list: {}", line.rsplit('=').next().unwrap()))
        .collect();
    assert_eq!(lines, wanted, "{err}");
}
