//! Random convolutional graphs: what the imported integers mean is what the nodes compute by their definitions.
//!
//! All parameters are small dyadic numbers, so that the definitions' floats are exact, ties included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::PathBuf;

use quantizer::import::{ImportOptions, import_file, verify};
use quantizer::network::image;
use quantizer::onnx::build::{encode, int, ints, ints_attribute, text};
use quantizer::onnx::file;
use quantizer::onnx::proto::AttributeProto;
use quantizer::onnx::sequence::{QuantSpec, Sequence};
use quantizer::testing::{Random, evaluate};

/// An image of real numbers.
#[derive(Clone, Debug, PartialEq)]
struct Image {
    c: usize,
    h: usize,
    w: usize,
    v: Vec<f64>,
}

impl Image {
    fn build(c: usize, h: usize, w: usize, of: impl Fn(usize, usize, usize) -> f64) -> Self {
        let mut v = Vec::new();
        for k in 0..c {
            for i in 0..h {
                for j in 0..w {
                    v.push(of(k, i, j));
                }
            }
        }
        Image { c, h, w, v }
    }

    fn at(&self, c: usize, i: i64, j: i64) -> Option<f64> {
        let inside = (0..self.h as i64).contains(&i) && (0..self.w as i64).contains(&j);
        inside.then(|| self.v[(c * self.h + i as usize) * self.w + j as usize])
    }

    fn map(&self, f: impl Fn(usize, f64) -> f64) -> Self {
        let each = self.h * self.w;
        Image { v: self.v.iter().enumerate().map(|(n, &x)| f(n / each, x)).collect(), ..self.clone() }
    }
}

/// Window attributes: kernel, stride, dilation, pads (top, left, bottom, right), all in ONNX's order.
#[derive(Clone, Debug)]
struct Window {
    k: [i64; 2],
    s: [i64; 2],
    d: [i64; 2],
    p: [i64; 4],
}

impl Window {
    /// Of a line, which has one axis, the vertical side reads its one place.
    fn random(rng: &mut Random, image: &Image, padded: bool, line: bool) -> Self {
        let mut side = |size: usize| {
            let k = rng.within(1, 3.min(size as i64));
            let d = if (k - 1) * 2 < size as i64 { rng.within(1, 2) } else { 1 };
            let pad = |rng: &mut Random| if padded { rng.within(0, (k - 1) * d) } else { 0 };
            (k, rng.within(1, 3), d, pad(rng), pad(rng))
        };
        let (v, h) = (if line { (1, 1, 1, 0, 0) } else { side(image.h) }, side(image.w));
        Window { k: [v.0, h.0], s: [v.1, h.1], d: [v.2, h.2], p: [v.3, h.3, v.4, h.4] }
    }

    fn attributes(&self, line: bool) -> Vec<AttributeProto> {
        let from = usize::from(line);
        let pads = if line { vec![self.p[1], self.p[3]] } else { self.p.to_vec() };
        vec![
            ints_attribute("kernel_shape", &self.k[from..]),
            ints_attribute("strides", &self.s[from..]),
            ints_attribute("dilations", &self.d[from..]),
            ints_attribute("pads", &pads),
        ]
    }

    fn size(&self, image: &Image, ceil: bool) -> [usize; 2] {
        [(image.h, 0), (image.w, 1)].map(|(size, a)| {
            let free = size as i64 + self.p[a] + self.p[a + 2] - ((self.k[a] - 1) * self.d[a] + 1);
            let mut windows = free / self.s[a] + 1;
            if ceil && free % self.s[a] != 0 && windows * self.s[a] < size as i64 + self.p[a] {
                windows += 1;
            }
            windows as usize
        })
    }

    /// What the window at a place reads of a channel, with its place in the kernel.
    fn read<'a>(
        &'a self,
        x: &'a Image,
        c: usize,
        i: usize,
        j: usize,
    ) -> impl Iterator<Item = (usize, Option<f64>)> + 'a {
        let (i, j) = (i as i64 * self.s[0] - self.p[0], j as i64 * self.s[1] - self.p[1]);
        (0..self.k[0] * self.k[1])
            .map(move |t| (t as usize, x.at(c, i + t / self.k[1] * self.d[0], j + t % self.k[1] * self.d[1])))
    }
}

/// A graph under construction, and what it computes for one input.
struct Graph {
    s: Sequence,
    rng: Random,
    x: Image,
    /// The image has one axis.
    line: bool,
    /// Since the last quantizer nothing but affine functions, all channels alike.
    quantized: bool,
    /// Code 0 may not be 0.
    shifted: bool,
    /// Values may fall as codes rise.
    fallen: bool,
    /// A MaxPool stands behind the last quantizer.
    pooled: bool,
    /// Channels may have different scales.
    uneven: bool,
    /// Quantized images to join with: name, image.
    kept: Vec<(String, Image)>,
    used: HashMap<&'static str, usize>,
}

impl Graph {
    fn dyadic(&mut self, signed: bool) -> f32 {
        let v = [0.25, 0.5, 1.0, 1.5, 2.0][self.rng.size(0, 4)];
        if signed && self.rng.one_in(3) { -v } else { v }
    }

    fn per_channel(&mut self, signed: bool) -> Vec<f32> {
        (0..self.x.c).map(|_| self.dyadic(signed)).collect()
    }

    fn node(&mut self, op: &'static str, inputs: &[&str], attributes: Vec<AttributeProto>) {
        *self.used.entry(op).or_default() += 1;
        self.s.node(op, inputs, attributes);
    }

    fn quant(&mut self) {
        let (bits, signed, scale) = (self.rng.within(2, 5) as u32, self.rng.one_in(2), self.dyadic(false));
        self.s.quant(QuantSpec::new(bits, signed, &scale));
        let (lo, hi) = if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
        let scale = f64::from(scale);
        self.x = self.x.map(|_, v| (v / scale).round_ties_even().clamp(f64::from(lo), f64::from(hi)) * scale);
        (self.quantized, self.shifted, self.fallen, self.pooled, self.uneven) = (true, false, false, false, false);
        if self.rng.one_in(2) {
            self.kept.push((self.s.last().to_string(), self.x.clone()));
        }
    }

    fn conv(&mut self) {
        if !self.quantized {
            self.quant();
        }
        let mut window = Window::random(&mut self.rng, &self.x, !self.shifted, self.line);
        if self.rng.one_in(3) && !self.shifted && window.p.iter().any(|&p| p > 0) {
            // The padding as a node of its own.
            let [top, left, bottom, right] = window.p;
            let pads = if self.line {
                self.s.constant(ints("", &[6], &[0, 0, left, 0, 0, right]))
            } else {
                self.s.constant(ints("", &[8], &[0, 0, top, left, 0, 0, bottom, right]))
            };
            self.node("Pad", &["@", &pads], vec![]);
            let (h, w) = (self.x.h + (top + bottom) as usize, self.x.w + (left + right) as usize);
            let x = &self.x;
            self.x = Image::build(x.c, h, w, |c, i, j| x.at(c, i as i64 - top, j as i64 - left).unwrap_or(0.0));
            window.p = [0; 4];
        }
        let divisors: Vec<usize> = (1..=self.x.c).filter(|g| self.x.c.is_multiple_of(*g)).collect();
        let groups = divisors[self.rng.size(0, divisors.len() - 1)];
        let (rows, each) = (groups * self.rng.size(1, 4), self.x.c / groups);
        let places = (window.k[0] * window.k[1]) as usize;
        let scales: Vec<f32> = (0..rows).map(|_| self.dyadic(false)).collect();
        let codes: Vec<i64> = (0..rows * each * places).map(|_| self.rng.within(-2, 1)).collect();
        let weights: Vec<f32> =
            codes.iter().enumerate().map(|(n, &c)| c as f32 * scales[n / (each * places)]).collect();
        let dims = [rows as i64, each as i64, window.k[0], window.k[1]];
        let dims = if self.line { vec![dims[0], dims[1], dims[3]] } else { dims.to_vec() };
        let scale_shape: Vec<i64> = (0..dims.len()).map(|a| if a == 0 { rows as i64 } else { 1 }).collect();
        let spec = QuantSpec { scale: &scales, scale_shape: &scale_shape, ..QuantSpec::new(2, true, &1.0) };
        let last = self.s.last().to_string();
        let w = self.s.weights(&dims, &weights, spec);
        for (form, is) in [
            ("depthwise", groups > 1 && groups == self.x.c),
            ("grouped", groups > 1 && groups < self.x.c),
            ("dilated", (0..2).any(|a| window.k[a] > 1 && window.d[a] > 1)),
            ("strided", window.s != [1, 1]),
            ("pointwise", window.k == [1, 1]),
            ("one axis", self.line),
        ] {
            *self.used.entry(form).or_default() += usize::from(is);
        }
        let bias: Vec<f32> = (0..rows).map(|_| self.dyadic(true)).collect();
        let b = self.s.floats(&[rows as i64], &bias);
        let with_bias = self.rng.one_in(2);
        let mut attributes = window.attributes(self.line);
        attributes.push(int("group", groups as i64));
        let inputs = [last.as_str(), &w, &b];
        self.node("Conv", &inputs[..if with_bias { 3 } else { 2 }], attributes);
        let (x, [h, w]) = (&self.x, window.size(&self.x, false));
        self.x = Image::build(rows, h, w, |r, i, j| {
            let first = r / (rows / groups) * each;
            let start = if with_bias { f64::from(bias[r]) } else { 0.0 };
            (0..each).fold(start, |sum, c| {
                let read = window.read(x, first + c, i, j);
                sum + read.map(|(t, v)| v.unwrap_or(0.0) * f64::from(weights[(r * each + c) * places + t])).sum::<f64>()
            })
        });
        (self.quantized, self.shifted, self.fallen, self.pooled, self.uneven) = (false, true, true, false, true);
    }

    fn max_pool(&mut self) {
        let window = Window::random(&mut self.rng, &self.x, true, self.line);
        // Some windows of a dilated kernel may read padding alone.
        let ceil = self.rng.one_in(2);
        let [h, w] = window.size(&self.x, ceil);
        let x = &self.x;
        let empty = |i, j| window.read(x, 0, i, j).all(|(_, v)| v.is_none());
        if (0..h).any(|i| (0..w).any(|j| empty(i, j))) {
            return;
        }
        let pooled = Image::build(x.c, h, w, |c, i, j| {
            window.read(x, c, i, j).filter_map(|(_, v)| v).fold(f64::NEG_INFINITY, f64::max)
        });
        let mut attributes = window.attributes(self.line);
        attributes.push(int("ceil_mode", i64::from(ceil)));
        self.node("MaxPool", &["@"], attributes);
        self.x = pooled;
        self.pooled = true;
        self.quantized &= !self.fallen;
    }

    fn average(&mut self) {
        if !self.quantized {
            self.quant();
        }
        let mut window = Window::random(&mut self.rng, &self.x, !self.shifted, self.line);
        // Dyadic divisors.
        window.k = window.k.map(|k| k.min(2));
        window.p = [0, 1, 2, 3].map(|a: usize| window.p[a].min((window.k[a % 2] - 1) * window.d[a % 2]));
        let mut attributes = window.attributes(self.line);
        attributes.push(int("count_include_pad", 1));
        self.node("AveragePool", &["@"], attributes);
        let (x, [h, w]) = (&self.x, window.size(&self.x, false));
        let size = (window.k[0] * window.k[1]) as f64;
        self.x = Image::build(x.c, h, w, |c, i, j| {
            window.read(x, c, i, j).map(|(_, v)| v.unwrap_or(0.0)).sum::<f64>() / size
        });
        self.pooled = false;
    }

    /// The mean of the whole image, where its places are a power of two.
    fn global_average(&mut self) {
        let places = self.x.h * self.x.w;
        if !places.is_power_of_two() || places == 1 {
            return;
        }
        if !self.quantized {
            self.quant();
        }
        self.node("GlobalAveragePool", &["@"], vec![]);
        let x = &self.x;
        let each = |c: usize| x.v[c * places..(c + 1) * places].iter().sum::<f64>() / places as f64;
        self.x = Image::build(x.c, 1, 1, |c, _, _| each(c));
        (self.quantized, self.pooled) = (false, false);
    }

    fn affine(&mut self) {
        // Behind a MaxPool of what is not quantized a falling function has no integers.
        let falling = self.quantized || !self.pooled;
        let (mul, add) = (self.per_channel(falling), self.per_channel(true));
        let dims = &[1, self.x.c as i64, 1, 1][..if self.line { 3 } else { 4 }];
        self.s.with("Mul", dims, &mul);
        self.x = self.x.map(|c, v| v * f64::from(mul[c]));
        self.uneven = true;
        if mul.iter().any(|&m| m < 0.0) {
            // A maximum in front of it has been taken of codes.
            (self.fallen, self.pooled) = (true, false);
        }
        if self.rng.one_in(2) {
            self.s.with("Add", dims, &add);
            self.x = self.x.map(|c, v| v + f64::from(add[c]));
            self.shifted = true;
        }
    }

    fn relu(&mut self) {
        self.node("Relu", &["@"], vec![]);
        self.x = self.x.map(|_, v| v.max(0.0));
        self.quantized = false;
    }

    fn upsample(&mut self) {
        let f = [if self.line { 1 } else { self.rng.size(1, 2) }, self.rng.size(1, 3)];
        if self.x.h * f[0] > 12 || self.x.w * f[1] > 12 {
            return;
        }
        let scales = if self.line {
            self.s.floats(&[3], &[1.0, 1.0, f[1] as f32])
        } else {
            self.s.floats(&[4], &[1.0, 1.0, f[0] as f32, f[1] as f32])
        };
        let modes = vec![text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
        self.node("Resize", &["@", "", &scales], modes);
        let x = &self.x;
        self.x =
            Image::build(x.c, x.h * f[0], x.w * f[1], |c, i, j| x.at(c, (i / f[0]) as i64, (j / f[1]) as i64).unwrap());
    }

    fn depth_to_space(&mut self) {
        if self.line || !self.x.c.is_multiple_of(4) || self.x.h * 2 > 12 || self.x.w * 2 > 12 {
            return;
        }
        let crd = self.rng.one_in(2);
        let mode = text("mode", if crd { "CRD" } else { "DCR" });
        self.node("DepthToSpace", &["@"], vec![int("blocksize", 2), mode]);
        let (x, channels) = (&self.x, self.x.c / 4);
        self.x = Image::build(channels, x.h * 2, x.w * 2, |c, i, j| {
            let place = i % 2 * 2 + j % 2;
            let from = if crd { c * 4 + place } else { place * channels + c };
            x.at(from, (i / 2) as i64, (j / 2) as i64).unwrap()
        });
        self.quantized &= !self.uneven;
    }

    fn join(&mut self) {
        if !self.quantized {
            self.quant();
        }
        let fits = |(_, k): &&(String, Image)| (k.h, k.w) == (self.x.h, self.x.w);
        let options: Vec<(String, Image)> = self.kept.iter().filter(fits).cloned().collect();
        if options.is_empty() {
            return;
        }
        let (name, other) = options[self.rng.size(0, options.len() - 1)].clone();
        let x = &self.x;
        if other.c == x.c && !self.uneven && self.rng.one_in(2) {
            let minus = self.rng.one_in(2);
            let sign = if minus { -1.0 } else { 1.0 };
            self.x = Image { v: x.v.iter().zip(&other.v).map(|(a, b)| a + sign * b).collect(), ..x.clone() };
            self.node(if minus { "Sub" } else { "Add" }, &["@", &name], vec![]);
        } else if x.c + other.c <= 12 {
            self.x = Image { c: x.c + other.c, v: [&x.v[..], &other.v].concat(), ..x.clone() };
            self.node("Concat", &["@", &name], vec![int("axis", 1)]);
            self.uneven = true;
        }
        (self.fallen, self.pooled) = (true, false);
    }

    fn trunc(&mut self) {
        if !self.quantized || self.pooled && self.fallen {
            return;
        }
        let scale = self.dyadic(false);
        let names: Vec<String> = [scale, 0.0, 6.0, 5.0].iter().map(|&v| self.s.floats(&[], &[v])).collect();
        let inputs: Vec<&str> = std::iter::once("@").chain(names.iter().map(String::as_str)).collect();
        self.node("Trunc", &inputs, vec![]);
        let scale = f64::from(scale);
        self.x = self.x.map(|_, v| ((v / scale).round_ties_even() / 2.0).floor() * scale);
        (self.quantized, self.shifted, self.fallen, self.pooled, self.uneven) = (true, false, false, false, false);
    }
}

/// One random graph: imports, is valid, verified, and computes what its nodes do.
fn check(seed: u64) -> HashMap<&'static str, usize> {
    let mut rng = Random::new(seed);
    let line = rng.one_in(5);
    let (c, h, w) = (rng.size(1, 4), if line { 1 } else { rng.size(3, 9) }, rng.size(3, 9));
    let codes: Vec<i64> = (0..c * h * w).map(|_| rng.within(0, 15)).collect();
    let shape = |c: usize, h: usize, w: usize| {
        if line { vec![1, c as i64, w as i64] } else { vec![1, c as i64, h as i64, w as i64] }
    };
    let mut s = Sequence::new(&shape(c, h, w));
    s.quant(QuantSpec::new(4, false, &0.5));
    let x = Image { c, h, w, v: codes.iter().map(|&n| n as f64 * 0.5).collect() };
    let kept = vec![(s.last().to_string(), x.clone())];
    let used = HashMap::new();
    let mut g = Graph {
        s,
        rng,
        x,
        line,
        quantized: true,
        shifted: false,
        fallen: false,
        pooled: false,
        uneven: false,
        kept,
        used,
    };
    for _ in 0..g.rng.size(2, 9) {
        match g.rng.size(0, 10) {
            0 | 1 => g.conv(),
            2 => g.max_pool(),
            3 => g.average(),
            4 => g.affine(),
            5 => g.relu(),
            6 => g.upsample(),
            7 => g.depth_to_space(),
            8 => g.join(),
            9 => g.global_average(),
            _ => g.trunc(),
        }
        // Sums of many places grow; small codes keep everything quick.
        if !g.quantized && g.rng.one_in(2) {
            g.quant();
        }
    }
    g.conv();
    if g.rng.one_in(2) {
        g.quant();
    }
    if g.rng.one_in(2) && (g.quantized || !g.uneven) {
        g.depth_to_space();
    }
    let dims = shape(g.x.c, g.x.h, g.x.w);
    let bytes = encode(&g.s.model(&dims));
    let file = file::decode(&bytes, format!("random-{seed}.onnx"), PathBuf::new()).unwrap();
    let imported = import_file(&file, &ImportOptions::default()).unwrap_or_else(|e| panic!("{seed}: {e}"));
    let network = &imported.network;
    assert_eq!(network.validate(), Ok(()), "{seed}");
    assert_eq!(verify(&imported).total().deviations, 0, "{seed}");
    assert_eq!(network.output_shape.iter().map(|&d| d as i64).collect::<Vec<_>>(), dims, "{seed}");
    let tensors = evaluate(network, &codes);
    let output = network.tensor(network.output);
    let (channels, [h, w]) = image(&output.shape).unwrap();
    let scale = output.scale.as_ref().unwrap();
    let found: Vec<f64> = tensors[network.output.0]
        .iter()
        .enumerate()
        .map(|(n, &v)| {
            let scale = scale[if scale.len() == 1 { 0 } else { n / (h * w) }];
            scale.factor * v as f64 + scale.offset
        })
        .collect();
    assert_eq!((channels, h, w), (g.x.c, g.x.h, g.x.w), "{seed}");
    assert_eq!(found, g.x.v, "{seed}");
    g.used
}

#[test]
fn random_graphs_mean_what_their_nodes_compute() {
    let mut used: HashMap<&str, usize> = HashMap::new();
    for seed in 0..1000 {
        for (op, n) in check(seed) {
            *used.entry(op).or_default() += n;
        }
    }
    eprintln!("{used:?}");
    let operators =
        "Conv MaxPool AveragePool GlobalAveragePool Relu Resize DepthToSpace Add Sub Concat Trunc Pad".split(' ');
    let forms = ["depthwise", "grouped", "dilated", "strided", "pointwise", "one axis"];
    for op in operators.chain(forms) {
        assert!(used.get(op).is_some_and(|&n| n >= 20), "{op}: {used:?}");
    }
}
