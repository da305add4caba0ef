// SPDX-License-Identifier: Apache-2.0
// A measured series as one line of text: `hil-record <crc32, 8 hex digits> <json>`. The line's reader drops what a
// second writer on the same console damaged: the checksum is over the bytes of the JSON text.
#pragma once

#include "bench/core/clock.hpp"
#include "bench/core/crc32.hpp"
#include "bench/core/histogram.hpp"
#include "bench/core/json.hpp"
#include "bench/core/outliers.hpp"
#include "bench/core/sort.hpp"
#include "bench/core/summary.hpp"
#include "bench/core/timeline.hpp"

#include <span>
#include <string_view>

namespace hil::bench {

/// What a series is, before its figures.
struct SeriesLabel {
    std::string_view probe;
    std::string_view series;
    std::string_view from; ///< the event at which the measured time starts
    std::string_view to;   ///< and at which it ends
    ClockInfo clock;
    std::string_view root_mode;   ///< "interrupt" or "poll"; empty: no part in it
    std::string_view inmate_mode; ///< the same
    std::uint64_t warmup = 0;
    std::uint64_t lost = 0; ///< exchanges that were not completed in time
};

/// The figures of one series. Large: keep it static where the stack is small.
class Series {
  public:
    /// `times` (since the first counted sample) and `values` belong together. Destroys the order of `values`.
    void build(std::span<const Ticks> times, std::span<Ticks> values, Ticks duration) {
        duration_ = duration;
        outliers_ = {};
        histogram_ = {};
        for (std::size_t index = 0; index < values.size(); ++index) {
            outliers_.add(times[index], values[index]);
            histogram_.add(values[index]);
        }
        timeline_.build(times, values);
        sort(values);
        summary_ = summarise(values);
    }

    const Summary& summary() const { return summary_; }

    template <TextSink Sink> void write_json(const SeriesLabel& label, Sink& sink) const {
        JsonWriter<Sink> json(sink);
        json.open_object();
        write_label(label, json);
        write_summary(json);
        write_distribution(json);
        json.member("duration", duration_);
        json.close_object();
    }

  private:
    template <class Json> static void write_label(const SeriesLabel& label, Json& json) {
        json.member("probe", label.probe);
        json.member("series", label.series);
        json.member("from", label.from);
        json.member("to", label.to);
        json.key("clock");
        json.open_object();
        json.member("name", label.clock.name);
        json.member("hz", label.clock.hz);
        json.close_object();
        json.key("mode");
        json.open_object();
        if (!label.root_mode.empty()) {
            json.member("root", label.root_mode);
        }
        if (!label.inmate_mode.empty()) {
            json.member("inmate", label.inmate_mode);
        }
        json.close_object();
        json.member("warmup", label.warmup);
        json.member("lost", label.lost);
        json.member("unit", std::string_view("ticks"));
    }

    template <class Json> void write_summary(Json& json) const {
        json.member("count", summary_.count);
        json.member("min", summary_.min);
        json.member("p50", summary_.p50);
        json.member("p90", summary_.p90);
        json.member("p99", summary_.p99);
        json.member("p99_9", summary_.p99_9);
        json.member("max", summary_.max);
        json.member("mean", summary_.mean);
        json.member("stddev", summary_.stddev);
    }

    template <class Json> void write_distribution(Json& json) const {
        const auto row = [&](auto... numbers) {
            json.open_array();
            (json.value(std::uint64_t{numbers}), ...);
            json.close_array();
        };
        json.key("histogram");
        json.open_array();
        histogram_.for_each(row);
        json.close_array();
        json.key("timeline");
        json.open_array();
        for (const TimelinePoint& point : timeline_.points()) {
            row(point.time, point.min, point.p50, point.max);
        }
        json.close_array();
        json.key("outliers");
        json.open_array();
        for (const Outlier& outlier : outliers_.above(summary_.p99_9)) {
            row(outlier.time, outlier.value);
        }
        json.close_array();
    }

    Summary summary_;
    Histogram<> histogram_;
    Timeline<> timeline_;
    Outliers<> outliers_;
    Ticks duration_ = 0;
};

/// The checksum needs the text before the line can start, and there may be no room to keep it: the text is made twice.
template <TextSink Sink> void write_record(const SeriesLabel& label, const Series& series, Sink& sink) {
    struct Checksum {
        Crc32 crc;
        void write(std::string_view text) { crc.add(text); }
    } checksum;
    series.write_json(label, checksum);
    char head[] = "hil-record 00000000 ";
    for (unsigned digit = 0; digit < 8; ++digit) {
        head[11 + digit] = "0123456789abcdef"[checksum.crc.value() >> (28 - 4 * digit) & 0xf];
    }
    sink.write({head, sizeof head - 1});
    series.write_json(label, sink);
    sink.write("\n");
}

} // namespace hil::bench
