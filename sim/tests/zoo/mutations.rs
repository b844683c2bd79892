//! The cycle engine reads the hardware: a changed ROM bit or a narrower register shows in it, and not in golden.

use generator::dataflow::{Dataflow, Kind, MatrixVector};
use ndarray::{Array2, s};
use quantizer::certificate::LayerBounds;
use quantizer::network::Network;
use sim::{cycle, golden};

use crate::data::{TFC, folded, mnist, model};

/// The network, its hardware, a thousand images and their outputs.
fn setup() -> Option<(Network, Dataflow, Array2<i64>, Array2<i64>)> {
    let imported = model("TFC_2W2A.onnx", None)?;
    let inputs = mnist(&imported)?.0.slice(s![..1000, ..]).to_owned();
    let outputs = golden::run(&imported.network, inputs.view()).unwrap();
    let dataflow = folded(&imported.network, &TFC);
    Some((imported.network, dataflow, inputs, outputs))
}

/// The matrix-vector units with their places among the modules.
fn units(dataflow: &Dataflow) -> Vec<(usize, &MatrixVector)> {
    dataflow
        .modules
        .iter()
        .enumerate()
        .filter_map(|(i, m)| match &m.kind {
            Kind::MatrixVector(u) => Some((i, u)),
            _ => None,
        })
        .collect()
}

fn unit_mut(dataflow: &mut Dataflow, module: usize) -> &mut MatrixVector {
    match &mut dataflow.modules[module].kind {
        Kind::MatrixVector(unit) => unit,
        other => panic!("module {module} is {other:?}"),
    }
}

#[test]
fn a_flipped_rom_bit_shows() {
    let Some((network, dataflow, inputs, outputs)) = setup() else { return };
    for (module, unit) in units(&dataflow) {
        // In the middle of the image and of every ROM: pixels at the border are hardly ever anything but white.
        let (pe, fold) = (unit.pes.len() / 2, unit.pes[0].weights.len() / 2);
        let lane = unit.simd / 2;
        for bit in 0..unit.pes[pe].weight_encodings[lane].bits {
            let mut changed = dataflow.clone();
            let element = &mut unit_mut(&mut changed, module).pes[pe];
            let encoding = element.weight_encodings[lane];
            let before = element.weights[fold][lane];
            let after = encoding.decode(encoding.encode(before) ^ 1 << bit);
            element.weights[fold][lane] = after;
            let run = cycle::run(&changed, inputs.view(), &cycle::Options::default()).unwrap();
            let differ = run.result.rows().into_iter().zip(outputs.rows()).filter(|(a, b)| a != b).count();
            let name = &dataflow.modules[module].name;
            eprintln!("{name}: weight {before} became {after}: {differ} of 1000 differ, {} traps", run.trapped);
            assert!(differ > 0 || run.trapped > 0, "{name}, bit {bit}");
        }
    }
    assert_eq!(golden::run(&network, inputs.view()).unwrap(), outputs);
}

#[test]
fn an_accumulator_one_bit_narrower_traps_on_its_witness() {
    let Some((network, dataflow, _, _)) = setup() else { return };
    let (module, unit) = units(&dataflow)[0];
    let bounds = &LayerBounds::of_network(&network)[0];
    let range = network.tensor(network.input).datatype.range();
    for (index, pe) in unit.pes.iter().enumerate() {
        // The row that needs the whole register, and the image that fills it.
        let bits = pe.reduction.accumulator_bits;
        let fold = pe.reduction.totals.iter().position(|t| t.signed_width() == bits).unwrap();
        let (total, row) = (pe.reduction.totals[fold], pe.rows[fold].unwrap());
        let falls = total.lo < -(1 << (bits - 2));
        let witness = bounds.channels[row].witness.chars().map(|c| match (c, falls) {
            ('0', _) => 0,
            ('+', false) | ('-', true) => range.hi,
            _ => range.lo,
        });
        let image = Array2::from_shape_vec((1, 784), witness.collect()).unwrap();
        let expected = golden::run(&network, image.view()).unwrap();
        let run = cycle::run(&dataflow, image.view(), &cycle::Options::default()).unwrap();
        assert_eq!((run.trapped, &run.result), (0, &expected));

        let mut narrow = dataflow.clone();
        unit_mut(&mut narrow, module).pes[index].reduction.accumulator_bits -= 1;
        let run = cycle::run(&narrow, image.view(), &cycle::Options::default()).unwrap();
        assert!(run.trapped > 0, "PE {index}, row {row}: {total} in {} bits", bits - 1);
        let trap = &run.traps[0];
        assert_eq!((trap.pe, trap.register.as_str(), trap.bits), (index, "accumulator", bits - 1));
        assert_ne!(trap.value, trap.became);
        if index == 0 {
            eprintln!("{trap}");
        }
        assert_eq!(golden::run(&network, image.view()).unwrap(), expected);
    }
}

#[test]
fn narrow_registers_of_every_layer_show_on_images() {
    let Some((_, dataflow, inputs, outputs)) = setup() else { return };
    for (module, _) in units(&dataflow) {
        let mut narrow = dataflow.clone();
        // Images stay far from the worst case: two bits less is what they are sure to notice.
        for pe in &mut unit_mut(&mut narrow, module).pes {
            pe.reduction.accumulator_bits -= 2;
        }
        let run = cycle::run(&narrow, inputs.view(), &cycle::Options::default()).unwrap();
        let name = &dataflow.modules[module].name;
        eprintln!("{name} two bits narrower: {} traps", run.trapped);
        assert!(run.trapped > 0 && run.result != outputs, "{name}");
    }
}
