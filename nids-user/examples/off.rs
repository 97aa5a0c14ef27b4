use aya::programs::{Program, Xdp, SchedClassifier, TestRun, TestRunOptions};
use aya::maps::{Array, Map};
#[repr(transparent)] #[derive(Clone, Copy)] struct W<const N: usize>([u8; N]);
unsafe impl<const N: usize> aya::Pod for W<N> {}
const F: usize = 65536 + 3 * 256 + 8;
fn load(path: &str) -> aya::Ebpf {
    let seed = 7u64;
    let mut e = aya::EbpfLoader::new().override_global("NIDS_SEED", &seed, false).load_file(path).unwrap();
    for n in ["nids_xdp", "nids_ingress"] {
        match e.program_mut(n).unwrap() { Program::Xdp(x) => Xdp::load(x).unwrap(), Program::SchedClassifier(x) => SchedClassifier::load(x).unwrap(), _ => panic!() }
    }
    let mut t = Box::new(W::<F>([0; F]));
    t.0[80] = 0xff;
    let mut f: Array<_, W<F>> = e.map_mut("FILTER").unwrap().try_into().unwrap();
    f.set(0, *t, 0).unwrap();
    let mut p: Array<_, W<8>> = e.map_mut("PORTS").unwrap().try_into().unwrap();
    p.set(2, W([1, 0, 0, 0, 3, 0, 0, 0]), 0).unwrap();
    let mut c: Array<_, W<8>> = e.map_mut(".data.CONTROL").unwrap().try_into().unwrap();
    c.set(0, W([0, 0, 0, 0, 1, 0, 0, 0]), 0).unwrap();
    e
}
fn frame(port: u16) -> Vec<u8> {
    let mut f = vec![2; 12];
    f.extend([8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40]);
    f.extend(port.to_be_bytes()); f.extend([0, 30, 0, 0]); f.resize(64, b'x'); f
}
fn main() {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let all: Vec<_> = paths.iter().map(|p| load(p)).collect();
    let _ = Map::Array;
    for (name, port) in [("wanted", 80), ("unwanted", 5000)] {
        for prog in ["nids_xdp", "nids_ingress"] {
            let mut got = vec![Vec::new(); all.len()];
            for _ in 0..41 {
                for (e, g) in all.iter().zip(&mut got) {
                    let f = frame(port);
                    let mut o = TestRunOptions::new(); o.data_in = Some(&f); o.repeat = 300_000;
                    let r = match e.program(prog).unwrap() { Program::Xdp(x) => x.test_run(o), Program::SchedClassifier(x) => x.test_run(o), _ => panic!() }.unwrap();
                    g.push(r.duration.as_nanos());
                }
            }
            for g in &mut got { g.sort(); }
            println!("{name} {prog}: {:?}", got.iter().map(|g| (g[4], g[20])).collect::<Vec<_>>());
        }
    }
}
