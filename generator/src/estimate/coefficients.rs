//! What the pieces of a design cost on xc7: every fitted number of the estimator, in one place.
//!
//! Fitted on Yosys 0.23, `synth_xilinx -family xc7 -nodsp`, hierarchy kept. LUTs are `LUT1` to `LUT6`; the inverters that Yosys
//! leaves before carry cells and reset pins are not counted, as in its own counts of logic cells.

/// The tool that the numbers below were fitted on.
pub const FITTED_ON: &str = "Yosys 0.23, synth_xilinx -family xc7 -nodsp";

/// Factor widths (columns) at which [`PRODUCT`] was measured.
pub const PRODUCT_BITS: [u32; 6] = [1, 2, 3, 4, 6, 8];

/// LUTs of a registered product of two run-time factors, by the bits of the narrower (row) and wider (column) one.
/// Entries below the diagonal are not read; 6 x 6 and 8 x 8 were not measured but continue their rows.
pub const PRODUCT: [[u64; 6]; 6] = [
    [1, 2, 3, 4, 6, 8],
    [0, 4, 6, 8, 13, 16],
    [0, 0, 7, 11, 21, 36],
    [0, 0, 0, 24, 55, 57],
    [0, 0, 0, 0, 77, 99],
    [0, 0, 0, 0, 0, 132],
];

/// Bits of a code at which [`CONSTANT_PRODUCT`] was measured.
pub const CONSTANT_PRODUCT_BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];

/// LUTs of a registered product with a constant: by the code's bits, whether it is signed, whether the constant is negative, and its odd part
/// from 1 to 31. Yosys adds up copies of the code on a carry chain and takes inverters for a negation, so that a factor of 3 costs the bits in which
/// two copies meet.
pub const CONSTANT_PRODUCT: [[[[u64; 16]; 2]; 2]; 6] = [
    [
        [[0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1], [0, 1, 2, 2, 3, 2, 3, 2, 3, 2, 2, 2, 3, 2, 3, 2]],
        [[0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 3, 2, 2], [0, 2, 3, 2, 2, 3, 3, 2, 2, 2, 3, 3, 2, 3, 3, 2]],
    ],
    [
        [[0, 2, 2, 6, 0, 6, 6, 7, 0, 4, 2, 8, 4, 7, 8, 7], [0, 4, 7, 1, 9, 8, 8, 4, 11, 11, 13, 6, 9, 7, 8, 4]],
        [[0, 4, 4, 5, 4, 7, 5, 7, 4, 7, 7, 7, 5, 8, 7, 9], [0, 3, 7, 4, 7, 7, 8, 4, 9, 7, 9, 7, 9, 7, 8, 4]],
    ],
    [
        [[0, 3, 4, 8, 2, 7, 7, 9, 0, 7, 4, 9, 7, 10, 9, 10], [0, 6, 8, 5, 10, 8, 10, 2, 12, 13, 14, 10, 13, 11, 10, 5]],
        [
            [0, 6, 6, 7, 5, 9, 7, 9, 6, 10, 9, 11, 7, 11, 9, 11],
            [0, 7, 9, 3, 11, 9, 10, 6, 13, 11, 13, 9, 12, 10, 11, 6],
        ],
    ],
    [
        [
            [0, 4, 6, 10, 4, 9, 9, 11, 2, 10, 8, 12, 9, 12, 10, 12],
            [0, 8, 10, 5, 12, 10, 10, 5, 14, 12, 14, 11, 13, 11, 13, 1],
        ],
        [
            [0, 8, 8, 9, 8, 11, 9, 10, 7, 13, 10, 12, 8, 12, 10, 12],
            [0, 9, 11, 8, 12, 11, 13, 6, 15, 13, 15, 11, 14, 12, 14, 8],
        ],
    ],
    [
        [
            [0, 5, 8, 12, 6, 11, 11, 13, 4, 12, 10, 14, 11, 14, 12, 14],
            [0, 10, 12, 7, 14, 12, 12, 5, 16, 14, 16, 13, 15, 13, 13, 6],
        ],
        [
            [0, 10, 10, 11, 10, 13, 11, 12, 10, 15, 13, 14, 11, 14, 12, 16],
            [0, 11, 13, 10, 14, 13, 15, 10, 16, 14, 16, 13, 16, 14, 16, 5],
        ],
    ],
    [
        [
            [0, 7, 12, 16, 10, 15, 15, 17, 8, 16, 14, 18, 15, 18, 16, 18],
            [0, 14, 16, 11, 20, 18, 18, 10, 26, 24, 26, 23, 25, 23, 23, 9],
        ],
        [
            [0, 14, 14, 15, 14, 17, 15, 16, 14, 21, 19, 20, 17, 20, 18, 22],
            [0, 15, 17, 14, 20, 19, 21, 15, 26, 24, 26, 23, 26, 24, 26, 14],
        ],
    ],
];

/// LUTs and flip-flops of the control of queues of 1 (not measured) to 4 places.
pub const FIFO_SMALL: [(u64, u64); 4] = [(3, 4), (8, 7), (11, 10), (16, 11)];

/// Of longer queues: LUTs, by the bits of the address from three on. Seven bits were measured with the multiplexer of a deep memory.
pub const FIFO_LUT: [u64; 5] = [21, 29, 29, 34, 39];

/// Flip-flops of longer queues, and for each bit of the address.
pub const FIFO_FF: (u64, u64) = (2, 4);

/// Memories of at most this many bits become flip-flops: Yosys' cost of the smallest LUT RAM is above theirs.
pub const FLIP_FLOP_MEMORY: u64 = 13;

/// LUTs of a credit counter by the bits of its count. Not measured: one bit, and seven.
pub const CREDIT_LUT: [u64; 7] = [5, 6, 7, 10, 10, 11, 12];

/// LUTs of a sequencer beside one for each bit of its counters: where one kind of fold is counted, where both are, and where both
/// are and there are two synapse folds. Without any fold: [`SEQUENCER_BARE`].
pub const SEQUENCER: [u64; 3] = [8, 7, 6];

/// LUTs of a sequencer that counts nothing.
pub const SEQUENCER_BARE: u64 = 10;

/// LUTs of a matrix-vector unit beside its parts: the exit handshake, and the buffer's write enable.
pub const UNIT: u64 = 2;

/// Hundredths of a LUT for each bit of a width converter's register that is loaded from two sources or more (the unit above it, the
/// beat's lanes), more for one of three or more, and more for each source beyond three.
pub const CONVERTER_BIT: [i64; 3] = [104, 85, 121];

/// Hundredths of a LUT of its control for each unit that it holds, more if a vector's last beat appends another number of units, for each
/// place of a beat of several units, and once.
pub const CONVERTER: [i64; 4] = [193, 114, -61, 224];

/// LUTs of a comparison of two run-time numbers of 4 bits; fewer than 4 bits fit one LUT.
pub const COMPARE_4_BITS: u64 = 3;

/// Bits of a constant that one LUT compares with, beside the running result.
pub const CONSTANT_COMPARE_BITS: u64 = 3;

/// Bits of read-only memory that Yosys weighs as much as one unit of its cost model for memories.
pub const ROM_BITS_PER_COST: u64 = 64;

/// Cost of half a block RAM (18 kbit) in that model, and of a whole one.
pub const BRAM_COST: u64 = 129;
