// Drives one AXI4-Stream design compiled by Verilator and records what it does.
//
// Everything it reads and writes is a file, loaded or allocated before the clock starts and written after it stops, so
// that the timed loop holds the design, the handshakes and little else. The meaning of cycles, gaps and stalls is that of
// stall.rs, whose generator stands here a second time.
//
// usage: sim STIMULUS RESULT SEED STALL_SEED INPUT_GAPS OUTPUT_STALLS EXPECTED MAX_CYCLES QUIET DRAIN RESET_AT [WAVES]
//   STIMULUS       per beat: one byte tlast, IN_BYTES bytes tdata, lane 0 first
//   RESULT         see write_result
//   RESET_AT       cycle before whose rising edge reset is asserted again, once; -1 for never
//
// The numbers at the top come from snug_config.h: IN_BYTES, OUT_BYTES, CHECK (0 or 1), TRACE (0 none, 1 VCD, 2 FST).

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "Vdut.h"
#include "snug_config.h"
#include "verilated.h"
#if TRACE == 1
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#elif TRACE == 2
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#endif

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ports are copied byte by byte, lane 0 first");

namespace {

constexpr uint64_t NEVER = ~uint64_t{0};

uint64_t hash(uint64_t seed, uint64_t index) {
    uint64_t z = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

bool decide(uint64_t seed, uint64_t cycle) {
    static const uint64_t EIGHTHS[4] = {0, 2, 4, 7};
    return (hash(seed, cycle) >> 61) < EIGHTHS[hash(~seed, cycle / 64) >> 62];
}

// A port of up to 64 bits is an integer, a wider one an array of 32-bit words.
template <typename Port, size_t BYTES>
constexpr bool fits() {
    return std::is_integral<Port>::value ? (sizeof(Port) >= BYTES && (sizeof(Port) == 1 || sizeof(Port) / 2 < BYTES))
                                         : (BYTES > 8 && sizeof(Port) == (BYTES + 3) / 4 * 4);
}

template <size_t BYTES, typename Port>
void put(Port& port, const uint8_t* bytes) {
    static_assert(fits<Port, BYTES>(), "snug: s_axis_tdata is not as wide as snug was told");
    std::memcpy(&port, bytes, BYTES);
}

template <size_t BYTES, typename Port>
void get(const Port& port, uint8_t* bytes) {
    static_assert(fits<Port, BYTES>(), "snug: m_axis_tdata is not as wide as snug was told");
    std::memcpy(bytes, &port, BYTES);
}

std::vector<uint8_t> read_file(const char* path) {
    std::vector<uint8_t> bytes;
    FILE* file = std::fopen(path, "rb");
    if (!file || std::fseek(file, 0, SEEK_END) != 0) {
        std::perror(path);
        std::exit(2);
    }
    const long size = std::ftell(file);
    std::rewind(file);
    bytes.resize(size < 0 ? 0 : static_cast<size_t>(size));
    if (std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) {
        std::perror(path);
        std::exit(2);
    }
    std::fclose(file);
    return bytes;
}

struct Options {
    uint64_t seed, stall_seed;
    bool gaps, stalls;
    uint64_t expected, max_cycles, quiet, drain, reset_at;
};

struct Result {
    uint64_t cycles = 0;        // rising edges since the last release of reset
    uint64_t clocks = 0;        // rising edges in the timed loop, before and after a reset in mid-run
    uint64_t reset_cycles = 0;  // rising edges with reset asserted before cycle 0
    uint64_t frame_error = NEVER;
    uint64_t unstable = NEVER;  // first cycle in which m_axis broke a promise made the cycle before
    uint64_t end = 0;           // 0 complete, 1 nothing moved for QUIET cycles, 2 MAX_CYCLES, 3 assertion or $finish
    double seconds = 0;
    std::vector<uint64_t> accepted;   // cycle of each input beat
    std::vector<uint64_t> left;       // cycle of each output beat
    std::vector<uint8_t> data, last;  // their tdata and tlast
};

void write_result(const char* path, const Result& r) {
    FILE* file = std::fopen(path, "wb");
    if (!file) {
        std::perror(path);
        std::exit(2);
    }
    const uint64_t head[] = {r.cycles, r.clocks, r.reset_cycles, r.frame_error, r.unstable, r.end,
                             static_cast<uint64_t>(r.seconds * 1e9), r.accepted.size(), r.left.size()};
    bool ok = std::fwrite(head, sizeof head, 1, file) == 1;
    ok = ok && std::fwrite(r.accepted.data(), 8, r.accepted.size(), file) == r.accepted.size();
    ok = ok && std::fwrite(r.left.data(), 8, r.left.size(), file) == r.left.size();
    ok = ok && std::fwrite(r.last.data(), 1, r.last.size(), file) == r.last.size();
    ok = ok && std::fwrite(r.data.data(), 1, r.data.size(), file) == r.data.size();
    if (std::fclose(file) != 0 || !ok) {
        std::perror(path);
        std::exit(2);
    }
}

class Bench {
public:
    Bench(VerilatedContext& context, const Options& options, const std::vector<uint8_t>& stimulus)
        : context(context), options(options), stimulus(stimulus), beats(stimulus.size() / (IN_BYTES + 1)), dut(&context) {}

    void open_waves(const char* path) {
#if TRACE
        context.traceEverOn(true);
        waves.reset(new Waves);
        dut.trace(waves.get(), 99);
        waves->open(path);
#else
        (void)path;
#endif
    }

    Result run() {
        std::memset(&dut.s_axis_tdata, 0, sizeof dut.s_axis_tdata);
        dut.s_axis_tlast = 0;
        dut.aclk = 0;
        idle_source(0);
        dut.m_axis_tready = 0;
        result.reset_cycles = reset(0);
        // Output beats are counted in advance; growing vectors would be timed with the design.
        result.left.reserve(options.expected);
        result.last.reserve(options.expected);
        result.data.reserve(options.expected * OUT_BYTES);
        result.accepted.reserve(beats);
        const auto start = std::chrono::steady_clock::now();
        if (options.reset_at != NEVER) {
            if (!clock_until_end(options.reset_at)) {
                clear();
                result.reset_cycles = reset(1);
            }
        }
        if (result.end == 0) clock_until_end(NEVER);
        result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        dut.final();
#if TRACE
        if (waves) waves->close();
#endif
        return std::move(result);
    }

private:
    VerilatedContext& context;
    const Options& options;
    const std::vector<uint8_t>& stimulus;
    const uint64_t beats;
    Vdut dut;
    Result result;
#if TRACE
    std::unique_ptr<Waves> waves;
#endif
    uint64_t next = 0;     // beat on offer, or to be offered next
    bool offered = false;  // s_axis_tvalid
    // What m_axis offered and was refused in the cycle before.
    bool held = false, held_last = false;
    uint8_t held_data[OUT_BYTES];

    // A wave's time is 10 per clock; values settled before the rising edge of a clock stand at 10 n, registers change at
    // 10 n + 5.
    void half(bool level) {
        dut.aclk = level;
        dut.eval();
#if TRACE
        if (waves) waves->dump(context.time());
        context.timeInc(5);
#endif
    }

    // Between beats the data pins carry noise, which no design may read.
    void idle_source(uint64_t salt) {
        dut.s_axis_tvalid = 0;
#if CHECK
        uint8_t noise[IN_BYTES];
        for (size_t i = 0; i < IN_BYTES; ++i) noise[i] = static_cast<uint8_t>(hash(options.seed, salt + i / 8) >> (i % 8 * 8));
        put<IN_BYTES>(dut.s_axis_tdata, noise);
        dut.s_axis_tlast = noise[0] & 1;
#else
        (void)salt;
#endif
    }

    // Asserts reset for 1 to 16 rising edges. AXI wants tvalid low meanwhile; tready may be anything.
    uint64_t reset(uint64_t which) {
        const uint64_t random = hash(options.seed ^ UINT64_C(0x7265736574), which);
        const uint64_t length = 1 + (random >> 60);
        dut.aresetn = 0;
        for (uint64_t i = 0; i < length; ++i) {
            idle_source(i * IN_BYTES);
            dut.m_axis_tready = (random >> i) & 1;
            half(0);
            half(1);
        }
        dut.aresetn = 1;
        // Lines printed by a monitor count from here.
        std::printf("SNUG reset\n");
        return length;
    }

    // Forgets the run so far, for a reset in mid-run; a broken promise and the clocks spent stay on record.
    void clear() {
        result.accepted.clear();
        result.left.clear();
        result.data.clear();
        result.last.clear();
        result.frame_error = NEVER;
        next = 0;
        offered = held = false;
    }

    // Clocks until `stop` rising edges are over (false) or the run is (true, result.end says why).
    bool clock_until_end(uint64_t stop) {
        uint64_t cycle = 0, last_move = 0, drained = 0;
        bool over = false;
        while (!over && cycle < stop) {
            if (!offered && next < beats && !(options.gaps && decide(options.stall_seed ^ UINT64_C(0x736f757263650001), cycle))) {
                const uint8_t* beat = &stimulus[next * (IN_BYTES + 1)];
                put<IN_BYTES>(dut.s_axis_tdata, beat + 1);
                dut.s_axis_tlast = beat[0];
                dut.s_axis_tvalid = 1;
                offered = true;
            } else if (!offered) {
                idle_source(cycle * IN_BYTES);
            }
            const bool ready = !(options.stalls && decide(options.stall_seed ^ UINT64_C(0x73696e6b00000002), cycle));
            dut.m_axis_tready = ready;
            half(0);

            const bool in = offered && dut.s_axis_tready, valid = dut.m_axis_tvalid, out = valid && ready;
            if (in) {
                result.accepted.push_back(cycle);
                offered = false;
                ++next;
            }
            if (out) {
                result.left.push_back(cycle);
                result.last.push_back(dut.m_axis_tlast);
                result.data.resize(result.data.size() + OUT_BYTES);
                get<OUT_BYTES>(dut.m_axis_tdata, &result.data[result.data.size() - OUT_BYTES]);
            }
            if (in || out) last_move = cycle;
            if (dut.frame_error && result.frame_error == NEVER) result.frame_error = cycle;
#if CHECK
            check_stable(cycle, valid, ready);
#endif
            half(1);
            ++cycle;

            // With a reset still to come the run goes on, idle or not, up to it.
            if (context.gotFinish()) {
                result.end = 3;
                over = true;
            } else if (cycle >= options.max_cycles) {
                result.end = 2;
                over = true;
            } else if (stop == NEVER) {
                if (next == beats && result.left.size() >= options.expected) {
                    over = drained++ >= options.drain;
                } else if (cycle - last_move > options.quiet) {
                    result.end = 1;
                    over = true;
                }
            }
        }
        result.cycles = cycle;
        result.clocks += cycle;
        return over;
    }

    // Once m_axis_tvalid is high, it and the data stay until accepted.
    void check_stable(uint64_t cycle, bool valid, bool ready) {
        uint8_t data[OUT_BYTES];
        get<OUT_BYTES>(dut.m_axis_tdata, data);
        const bool last = dut.m_axis_tlast;
        if (held && (!valid || last != held_last || std::memcmp(data, held_data, OUT_BYTES) != 0) && result.unstable == NEVER) {
            result.unstable = cycle;
        }
        held = valid && !ready;
        held_last = last;
        std::memcpy(held_data, data, OUT_BYTES);
    }
};

}  // namespace

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    // A failed assertion ends the run, which then tells the cycle; without this it would abort the process.
    context.fatalOnError(false);
    std::vector<const char*> args;
    for (int i = 1; i < argc; ++i) {
        if (argv[i][0] != '+') args.push_back(argv[i]);
    }
    if (args.size() < 11) {
        std::fprintf(stderr, "see the head of harness.cpp for the arguments\n");
        return 2;
    }
    const auto number = [&](size_t i) { return std::strtoull(args[i], nullptr, 10); };
    Options options;
    options.seed = number(2);
    options.stall_seed = number(3);
    options.gaps = number(4) != 0;
    options.stalls = number(5) != 0;
    options.expected = number(6);
    options.max_cycles = number(7);
    options.quiet = number(8);
    options.drain = number(9);
    options.reset_at = std::string(args[10]) == "-1" ? NEVER : number(10);
    const std::vector<uint8_t> stimulus = read_file(args[0]);
    Bench bench(context, options, stimulus);
    if (args.size() > 11) bench.open_waves(args[11]);
    write_result(args[1], bench.run());
    return 0;
}
