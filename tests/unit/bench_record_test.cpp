// SPDX-License-Identifier: Apache-2.0
#include "bench/core/record.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

using namespace hil::bench;

namespace {

struct TextOutput {
    std::string text;
    void write(std::string_view piece) { text += piece; }
};

TEST(Crc32, KnowsTheCheckValueAndTheEmptyText) {
    Crc32 crc;
    EXPECT_EQ(crc.value(), 0u);
    crc.add("1234");
    crc.add("56789");
    EXPECT_EQ(crc.value(), 0xcbf43926u);
}

TEST(Json, NestsSeparatesAndEscapes) {
    TextOutput output;
    JsonWriter<TextOutput> json(output);
    json.open_object();
    json.member("a", std::uint64_t{0});
    json.member("b", std::string_view("x\"\\\n\x01"));
    json.key("c");
    json.open_array();
    json.open_array();
    json.value(std::uint64_t{18446744073709551615u});
    json.value(Milli{1002});
    json.close_array();
    json.open_object();
    json.close_object();
    json.close_array();
    json.member("d", Milli{7});
    json.close_object();
    EXPECT_EQ(output.text, R"({"a":0,"b":"x\"\\\u000a\u0001","c":[[18446744073709551615,1.002],{}],"d":0.007})");
}

TEST(Record, IsOneLineWithTheChecksumOfItsJson) {
    std::vector<Ticks> times{0, 10, 20, 30};
    std::vector<Ticks> values{5, 3, 9, 3};
    const auto series = std::make_unique<Series>();
    series->build(times, values, 33);
    TextOutput output;
    write_record({"p", "s", "a", "b", {"C", 1000}, "poll", "", 2, 1}, *series, output);
    const std::string json =
        R"({"probe":"p","series":"s","from":"a","to":"b","clock":{"name":"C","hz":1000},"mode":{"root":"poll"},)"
        R"("warmup":2,"lost":1,"unit":"ticks","count":4,"min":3,"p50":3,"p90":9,"p99":9,"p99_9":9,"max":9,)"
        R"("mean":5.000,"stddev":2.449,"histogram":[[3,4,2],[5,6,1],[9,10,1]],)"
        R"("timeline":[[0,5,5,5],[10,3,3,3],[20,9,9,9],[30,3,3,3]],"outliers":[],"duration":33})";
    Crc32 crc;
    crc.add(json);
    char head[32];
    std::snprintf(head, sizeof head, "hil-record %08x ", crc.value());
    EXPECT_EQ(output.text, head + json + "\n");
}

} // namespace
