//! Exchanges of halos: latency, bandwidth, and how much of the time that messages travel is hidden. Run by
//! `benches/halo.sh`.
//!
//! Under mpirun with two ranks: `halo EXCHANGES DEEPxWIDE...` does what `benches/halo.c` does, and prints the same:
//! bytes of a face and the median seconds of an exchange. `halo hidden POINTS ROUNDS` steps two blocks whose messages
//! take half as long as the steps, and prints the share of that which the steps do not wait for.
//!
//! Input: two ranks and the words above. Output: lines of numbers from rank 0. Invariant: places in memory, numbers
//! of exchanges and rounds that warm up are those of `benches/halo.c`, else the two cannot be held against each
//! other: what changes here changes there. Both ranks delay messages by the same time, the largest that either found.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, reason = "run by hand")]

#[cfg(not(feature = "mpi"))]
fn main() {
    println!("built without MPI: nothing to measure");
}

#[cfg(feature = "mpi")]
fn main() {
    measured::main();
}

#[cfg(feature = "mpi")]
mod measured {
    use std::time::{Duration, Instant};

    use ringfort::advance::Packer;
    use ringfort::advance::library::{Precise, SHIPPED};
    use ringfort::clock;
    use ringfort::decomp::Cuts;
    use ringfort::field::{Fields, Layout};
    use ringfort::grid::{Boundary, Grid, Units};
    use ringfort::job::Job;
    use ringfort::run::shape::Shape;
    use ringfort::torus::halo::Halo;
    use ringfort::torus::mpi::Mpi;
    use ringfort::torus::peers::{Link, Message, PeerError, Peers, Word};
    use ringfort::torus::session::Session;

    /// Rows of a plane that a rank owns.
    const OWN: usize = 4;
    const DEADLINE: Duration = Duration::from_secs(60);

    pub(super) fn main() {
        let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let mut peers = Mpi::start(DEADLINE).unwrap();
        if peers.ranks() != 2 || words.len() < 2 {
            return println!("halo.sh runs this: two ranks, EXCHANGES DEEPxWIDE... or hidden POINTS ROUNDS");
        }
        let number = |word: &str| word.parse::<usize>().unwrap();
        if words[0] == "hidden" {
            return hidden(peers, number(&words[1]), number(&words[2]));
        }
        for face in &words[1..] {
            let (deep, wide) = face.split_once('x').unwrap();
            exchanges(&mut peers, number(&words[0]), number(deep), number(wide));
        }
    }

    fn median(values: &mut [f64]) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn exchanges(peers: &mut Mpi, exchanges: usize, deep: usize, wide: usize) {
        let points = [1, deep, 2 * OWN, wide];
        let boundary = [[Boundary::Wall; 2]; 4];
        let grid = Grid { axes: 3, points, spacing: [1.0; 4], origin: [0.0; 4], units: Units::Metres, boundary };
        let cuts = Cuts::new(points, [1, 1, 2, 1]).unwrap();
        let part = peers.rank();
        let width = [0, 0, 1, 0];
        let mut fields = Fields::<f64>::new(Layout::new(cuts.block(part).extent, width), 1);
        fields.allocate(0, false);
        let mut halo = Halo::new(peers, (&grid, &cuts, part), width, &[0], 8);
        let bytes = halo.bytes(8);
        assert_eq!((halo.messages(), bytes), (1, 8 * deep * wide));
        // As in halo.c.
        let (count, each) = if bytes < 65536 { (exchanges, 64) } else { (exchanges * 16384 / bytes + 64, 1) };
        let batches = count / each + 1;
        let mut seconds = Vec::new();
        for batch in 0..batches + batches / 8 + 1 {
            let began = clock::now();
            for _ in 0..each {
                halo.fill(peers, Packer::default(), &mut fields).unwrap();
            }
            if batch > batches / 8 {
                seconds.push(clock::now().duration_since(began).as_secs_f64() / each as f64);
            }
        }
        if part == 0 {
            println!("{bytes} {:.4e}", median(&mut seconds));
        }
        halo.close(peers);
    }

    /// Ranks whose messages take a while longer than they do.
    struct Wire {
        mpi: Mpi,
        takes: Duration,
        /// When each link's messages set out.
        sent: Vec<Instant>,
    }

    impl Peers for Wire {
        fn rank(&self) -> usize {
            self.mpi.rank()
        }
        fn ranks(&self) -> usize {
            self.mpi.ranks()
        }
        fn open(&mut self, receives: &[Message], sends: &[Message]) -> Link {
            self.sent.push(clock::now());
            self.mpi.open(receives, sends)
        }
        fn close(&mut self, link: Link) {
            self.mpi.close(link);
        }
        fn expect(&mut self, link: Link) {
            self.mpi.expect(link);
        }
        fn outgoing(&mut self, link: Link, number: usize) -> &mut [u8] {
            self.mpi.outgoing(link, number)
        }
        fn dispatch(&mut self, link: Link, number: usize) {
            // Only the last link is used once the session is made.
            if let Some(sent) = self.sent.last_mut() {
                *sent = clock::now();
            }
            self.mpi.dispatch(link, number);
        }
        fn arrived(&mut self, link: Link) -> Result<bool, PeerError> {
            let on_its_way = self.sent.last().is_some_and(|sent| clock::now().duration_since(*sent) < self.takes);
            Ok(self.mpi.arrived(link)? && !on_its_way)
        }
        fn incoming(&self, link: Link, number: usize) -> &[u8] {
            self.mpi.incoming(link, number)
        }
        fn post(&mut self, word: Word) {
            self.mpi.post(word);
        }
        fn reduced(&mut self) -> Result<Option<Word>, PeerError> {
            self.mpi.reduced()
        }
        fn send(&mut self, to: usize, tag: u32, bytes: Vec<u8>) {
            self.mpi.send(to, tag, bytes);
        }
        fn receive(&mut self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError> {
            self.mpi.receive(from, tag)
        }
        fn deadline(&self) -> Duration {
            self.mpi.deadline()
        }
        fn set_deadline(&mut self, deadline: Duration) {
            self.mpi.set_deadline(deadline);
        }
    }

    const JOBS: [(&str, usize, &str); 4] = [
        ("heat, 1 step", 1, "kernel = { name = \"heat\" }\nfields = { temperature = 1.0, diffusivity = 1.0 }"),
        ("heat, 4 steps", 4, "kernel = { name = \"heat\" }\nfields = { temperature = 1.0, diffusivity = 1.0 }"),
        ("wave, 1 step", 1, "kernel = { name = \"wave\", order = 4 }\nfields = { pressure = 1.0, speed = 1.0 }"),
        ("wave, 4 steps", 4, "kernel = { name = \"wave\", order = 4 }\nfields = { pressure = 1.0, speed = 1.0 }"),
    ];

    /// Steps blocks of `points` points along each axis, cut along the first, with messages that take no time of their own and
    /// with such that take half as long as a round.
    fn hidden(mpi: Mpi, points: usize, rounds: usize) {
        let mut wire = Wire { mpi, takes: Duration::ZERO, sent: Vec::new() };
        for (name, steps, job) in JOBS {
            let text =
                format!("grid.points = [{points}, {points}, {points}]\n{job}\ntime = {{ steps = 1, dt = 0.1 }}\n");
            let job = Job::parse(&text, "halo.toml".as_ref(), &[], &SHIPPED).unwrap();
            let kernel = SHIPPED.find(job.declaration.name).unwrap();
            let program = f64::program(kernel, &job.setup).unwrap();
            let shape = Shape::new(&job.grid, program.footprint(), 2, Some(&[2, 1, 1]), steps).unwrap();
            wire.takes = Duration::ZERO;
            let session = Session::<f64>::new(&job, kernel, (&shape, 1, 1), None, &mut wire);
            let mut session = session.map_err(|failure| failure.report).unwrap();
            let mut round = |wire: &mut Wire| {
                let began = clock::now();
                session.start_exchange(wire);
                session.advance(wire, 0..steps as u64).unwrap();
                clock::now().duration_since(began).as_secs_f64()
            };
            let mut plain: Vec<f64> = (0..rounds).map(|_| round(&mut wire)).collect();
            let alone = median(&mut plain);
            // Ranks that measured different times would wait for each other.
            let takes = ringfort::torus::control::largest(&mut wire, alone / 2.0).unwrap();
            let (mut at_once, mut delayed) = (Vec::new(), Vec::new());
            for number in 0..2 * rounds + 2 {
                for (takes, seconds) in [(0.0, &mut at_once), (takes, &mut delayed)] {
                    wire.takes = Duration::from_secs_f64(takes);
                    let took = round(&mut wire);
                    // The first ones show that waiting is long.
                    if number >= rounds {
                        seconds.push(took);
                    }
                }
            }
            let (at_once, delayed) = (median(&mut at_once), median(&mut delayed));
            if wire.rank() == 0 {
                // Rounds with and without delay alternate. What cutting tiles costs is told apart.
                let slower = 100.0 * (at_once / alone - 1.0);
                println!(
                    "{name}: {:.3} ms a round, messages take {:.3} ms more: {:.1}% hidden (rounds without delay are {slower:.1}% slower than before)",
                    1e3 * alone,
                    1e3 * takes,
                    100.0 * (1.0 - (delayed - at_once) / takes),
                );
            }
        }
    }
}
