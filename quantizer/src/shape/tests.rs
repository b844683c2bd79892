#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Shapes by hand, and every refusal word for word.

use ndarray::Array2;

use super::*;
use crate::datatype::DataType;
use crate::network::{Add, DepthToSpace, Steps, Threshold};

const ONE: Window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad_begin: [0, 0], pad_end: [0, 0] };

fn conv(rows: usize, columns: usize, groups: usize, window: Window) -> Op {
    Op::Conv(Conv { weights: Array2::zeros((rows, columns)), weight_type: DataType::signed(4), groups, window })
}

#[track_caller]
fn gives(op: Op, inputs: &[&[usize]], shape: &[usize]) {
    assert_eq!(output_shape(&op, inputs), Ok(shape.to_vec()));
}

#[track_caller]
fn refuses(op: Op, inputs: &[&[usize]], why: &str) {
    assert_eq!(output_shape(&op, inputs), Err(why.to_owned()));
}

#[test]
fn shapes_by_hand() {
    let three = Window { kernel: [3, 3], pad_begin: [1, 1], pad_end: [1, 1], ..ONE };
    gives(conv(8, 27, 1, three), &[&[3, 28, 20]], &[8, 28, 20]);
    gives(conv(8, 27, 1, Window { stride: [2, 2], ..three }), &[&[3, 28, 27]], &[8, 14, 14]);
    gives(conv(4, 9, 4, three), &[&[4, 5, 5]], &[4, 5, 5]);
    let seven = Window { kernel: [7, 7], stride: [2, 2], pad_begin: [3, 3], pad_end: [3, 3], ..ONE };
    gives(conv(64, 147, 1, seven), &[&[3, 224, 224]], &[64, 112, 112]);
    let along = Window { kernel: [1, 5], dilation: [1, 3], stride: [1, 2], pad_end: [0, 2], ..ONE };
    gives(conv(2, 15, 1, along), &[&[3, 20]], &[2, 5]);
    gives(conv(2, 3, 1, ONE), &[&[3]], &[2]);
    gives(Op::MaxPool(Window { kernel: [2, 2], stride: [2, 2], ..ONE }), &[&[3, 5, 4]], &[3, 2, 2]);
    gives(Op::SumPool(Window { kernel: [5, 4], ..ONE }), &[&[3, 5, 4]], &[3, 1, 1]);
    gives(Op::Add(Add { coefficients: vec![1, 2] }), &[&[3, 5], &[3, 5]], &[3, 5]);
    gives(Op::Concat, &[&[3, 5, 2], &[1, 5, 2], &[3, 5, 2]], &[7, 5, 2]);
    gives(Op::Upsample([2, 3]), &[&[3, 5, 2]], &[3, 10, 6]);
    gives(Op::DepthToSpace(DepthToSpace { block: 2, column_first: true }), &[&[12, 5, 2]], &[3, 10, 4]);
    gives(Op::Flatten, &[&[3, 5, 2]], &[30]);
}

#[test]
fn refusals_name_the_numbers() {
    let three = Window { kernel: [3, 3], ..ONE };
    refuses(
        conv(2, 9, 1, three),
        &[&[1, 2, 8]],
        "a window that spans 3 by 3 does not fit on an image of 2 by 8 with 0+0 by 0+0 places of padding",
    );
    refuses(conv(4, 9, 3, three), &[&[4, 5, 5]], "3 groups do not divide 4 input and 4 output channels");
    refuses(conv(4, 9, 0, three), &[&[4, 5, 5]], "0 groups do not divide 4 input and 4 output channels");
    refuses(
        conv(4, 10, 2, three),
        &[&[4, 5, 5]],
        "weights of 10 columns, where 2 channels a group and a kernel of 3 by 3 need 18",
    );
    let zero = |change: fn(&mut Window)| {
        let mut window = three;
        change(&mut window);
        Op::SumPool(window)
    };
    refuses(zero(|w| w.kernel[0] = 0), &[&[1, 5, 5]], "kernel [0, 3] is not within 1 to 65536");
    refuses(zero(|w| w.stride[1] = 0), &[&[1, 5, 5]], "stride [1, 0] is not within 1 to 65536");
    refuses(
        zero(|w| w.dilation[1] = usize::MAX),
        &[&[1, 5, 5]],
        &format!("dilation [1, {}] is not within 1 to 65536", usize::MAX),
    );
    refuses(
        zero(|w| w.pad_end[1] = 3),
        &[&[1, 5, 5]],
        "3 places of padding behind the image horizontally, where a window spans 3: some windows would read padding alone",
    );
    refuses(
        Op::MaxPool(Window { kernel: [1, 2], dilation: [1, 5], pad_begin: [0, 4], pad_end: [0, 4], ..ONE }),
        &[&[1, 1, 3]],
        "some windows read nothing of the image horizontally",
    );
    refuses(
        Op::SumPool(three),
        &[&[1, 5, 5, 5]],
        "shape [1, 5, 5, 5] is no image: [channels, height, width] or [channels, length]",
    );
    refuses(
        Op::SumPool(Window { kernel: [2, 1], pad_begin: [1, 0], pad_end: [1, 0], ..ONE }),
        &[&[1, 5]],
        "shape [1, 5] has no dimension for a result of height 2 and width 5",
    );
    refuses(Op::Add(Add { coefficients: vec![1, 2] }), &[&[3, 5], &[3, 4]], "shapes [3, 5] and [3, 4] cannot be added");
    refuses(Op::Add(Add { coefficients: vec![1] }), &[&[3, 5], &[3, 5]], "1 coefficients for 2 inputs");
    refuses(Op::Concat, &[&[3, 5], &[3, 4]], "shapes [3, 5] and [3, 4] cannot be joined along channels");
    refuses(Op::Concat, &[&[3, 5], &[3, 5, 1]], "shapes [3, 5] and [3, 5, 1] cannot be joined along channels");
    refuses(Op::Upsample([2, 0]), &[&[3, 5, 1]], "factors [2, 0] are not all within 1 to 65536");
    refuses(Op::Upsample([2, 2]), &[&[3, 5]], "shape [3, 5] has no dimension for a result of height 2 and width 10");
    let to = |block| Op::DepthToSpace(DepthToSpace { block, column_first: true });
    refuses(to(2), &[&[6, 1, 1]], "6 channels do not make blocks of 2 by 2");
    refuses(to(0), &[&[6, 1, 1]], "a block of side 0 is not within 1 to 65536");
    let steps = Steps { base: 0, steps: vec![], falling: false };
    refuses(Op::Threshold(Threshold { channels: vec![steps; 2] }), &[&[3]], "2 step functions for 3 channels");
    refuses(Op::Flatten, &[], "it reads no tensor");
}
