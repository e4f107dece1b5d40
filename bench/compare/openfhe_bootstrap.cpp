// SPDX-License-Identifier: Apache-2.0
// One bootstrap of OpenFHE, measured as `fhola bench bootstrap --identity --json` measures one of fhola: the same real values, the
// median and the least of several runs after one to warm up, the error of the result against the values, the bytes of the keys.
//
//     openfhe_bootstrap LOG_N LOG_VALUES RUNS
//
// The parameters are those of OpenFHE's own example for bootstrapping of sparse vectors, at 128-bit security with a uniform ternary
// secret: scaling primes of 59 bits, the first of 60, hybrid key switching, 3 levels each to and from the slots. As many levels are
// left after the bootstrap as the ring has room for.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <vector>

#include "openfhe.h"

#include "ciphertext-ser.h"
#include "cryptocontext-ser.h"
#include "key/key-ser.h"
#include "scheme/ckksrns/ckksrns-ser.h"

using namespace lbcrypto;

#ifndef OPENFHE_VERSION_TEXT
#define OPENFHE_VERSION_TEXT "of unknown version"
#endif

namespace {

const SecretKeyDist secret = UNIFORM_TERNARY;
const std::vector<uint32_t> budget = {3, 3}; // levels of coefficients to slots, and back
constexpr uint32_t most_levels = 20;

struct task {
    uint32_t log_n, log_values, runs;
};

struct setting {
    CryptoContext<DCRTPoly> context;
    uint32_t levels, depth; // after the bootstrap; of the whole chain
};

struct result {
    std::vector<double> seconds;
    double bits;
    uint32_t levels;
    uint64_t key_bytes;
};

// Where keys are written to: only their length is wanted.
class counter : public std::streambuf {
public:
    uint64_t bytes = 0;

protected:
    std::streamsize xsputn(const char *, std::streamsize length) override
    {
        bytes += static_cast<uint64_t>(length);
        return length;
    }
    int overflow(int c) override
    {
        bytes++;
        return traits_type::not_eof(c);
    }
};

// Value `s` that is computed with, as in nn/cmd/bench_operations.c.
double operand(size_t s)
{
    return std::sin(static_cast<double>(s * s % 1009));
}

setting with_levels(const task &t, uint32_t levels)
{
    CCParams<CryptoContextCKKSRNS> parameters;
    setting s{nullptr, levels, levels + FHECKKSRNS::GetBootstrapDepth(budget, secret)};
    parameters.SetSecretKeyDist(secret);
    parameters.SetSecurityLevel(HEStd_128_classic);
    parameters.SetRingDim(1u << t.log_n);
    parameters.SetKeySwitchTechnique(HYBRID);
    parameters.SetScalingTechnique(FLEXIBLEAUTO);
    parameters.SetScalingModSize(59);
    parameters.SetFirstModSize(60);
    parameters.SetMultiplicativeDepth(s.depth);
    s.context = GenCryptoContext(parameters);
    return s;
}

// The most levels for which OpenFHE accepts the ring: it refuses one that is too small for 128 bits.
setting choose(const task &t)
{
    for (uint32_t levels = most_levels; levels > 1; levels--) {
        try {
            setting s = with_levels(t, levels);
            if (s.context->GetRingDimension() == 1u << t.log_n) return s;
        } catch (const std::exception &) {
            // not so many
        }
    }
    return with_levels(t, 1); // what it throws says why
}

uint64_t key_bytes()
{
    counter sink;
    std::ostream stream(&sink);
    if (!CryptoContextImpl<DCRTPoly>::SerializeEvalMultKey(stream, SerType::BINARY) ||
        !CryptoContextImpl<DCRTPoly>::SerializeEvalAutomorphismKey(stream, SerType::BINARY))
        throw std::runtime_error("the keys cannot be written");
    return sink.bytes;
}

// Bits by which the RMS error is below the range [-1, 1] of the values.
double precision(const std::vector<double> &got, const std::vector<double> &wanted)
{
    double sum = 0;
    for (size_t i = 0; i < wanted.size(); i++) sum += (got.at(i) - wanted[i]) * (got[i] - wanted[i]);
    return -std::log2(std::sqrt(sum / static_cast<double>(wanted.size())));
}

result measure(const task &t)
{
    const uint32_t values = 1u << t.log_values;
    setting s = choose(t);
    result r{};
    std::vector<double> x(values);
    for (size_t i = 0; i < values; i++) x[i] = operand(i);

    for (PKESchemeFeature feature : {PKE, KEYSWITCH, LEVELEDSHE, ADVANCEDSHE, FHE}) s.context->Enable(feature);
    s.context->EvalBootstrapSetup(budget, {0, 0}, values);
    auto keys = s.context->KeyGen();
    s.context->EvalMultKeyGen(keys.secretKey);
    s.context->EvalBootstrapKeyGen(keys.secretKey, values);

    // a ciphertext that has used up its levels
    Plaintext plain = s.context->MakeCKKSPackedPlaintext(x, 1, s.depth - 1, nullptr, values);
    plain->SetLength(values);
    const auto in = s.context->Encrypt(keys.publicKey, plain);
    auto out = s.context->EvalBootstrap(in);
    for (uint32_t i = 0; i < t.runs; i++) {
        const auto start = std::chrono::steady_clock::now();
        out = s.context->EvalBootstrap(in);
        r.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(r.seconds.begin(), r.seconds.end());

    Plaintext decrypted;
    s.context->Decrypt(keys.secretKey, out, &decrypted);
    decrypted->SetLength(values);
    r.bits = precision(decrypted->GetRealPackedValue(), x);
    r.levels = static_cast<uint32_t>(s.depth - out->GetLevel());
    r.key_bytes = key_bytes();
    return r;
}

bool read_number(uint32_t &out, const char *text, unsigned long least, unsigned long most)
{
    char *end;
    unsigned long number = std::strtoul(text, &end, 10);
    out = static_cast<uint32_t>(number);
    return *text != 0 && *end == 0 && number >= least && number <= most;
}

} // namespace

int main(int argc, char **argv)
{
    task t{};
    if (argc != 4 || !read_number(t.log_n, argv[1], 12, 17) || !read_number(t.log_values, argv[2], 3, t.log_n - 1) ||
        !read_number(t.runs, argv[3], 1, 1000)) {
        std::fprintf(stderr, "usage: openfhe_bootstrap LOG_N LOG_VALUES RUNS\n");
        return 1;
    }
    try {
        const result r = measure(t);
        std::printf("{\"name\": \"bootstrap_result\", \"library\": \"OpenFHE " OPENFHE_VERSION_TEXT "\", \"n\": %u, \"values\": %u, "
                    "\"median_us\": %.0f, \"min_us\": %.0f, \"precision_bits\": %.2f, \"levels\": %u, \"key_bytes\": %llu}\n",
                    1u << t.log_n, 1u << t.log_values, 1e6 * r.seconds[r.seconds.size() / 2], 1e6 * r.seconds.front(), r.bits,
                    r.levels, static_cast<unsigned long long>(r.key_bytes));
    } catch (const std::exception &e) {
        std::fprintf(stderr, "openfhe_bootstrap: %s\n", e.what());
        return 1;
    }
    return 0;
}
