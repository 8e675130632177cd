#include "lb/observe/exposition.h"

#include <catch2/catch.hpp>
#include <set>

#include "lb/base/roff.h"
#include "lb/observe/amounts.h"
#include "lb/observe/gzip.h"
#include "lb/observe/manual.h"
#include "lb/observe/metric_list.h"
#include "tests/support/scraped.h"

using namespace weir;
using namespace weir::test;
using Format = Exposition::Format;

namespace {

constexpr MetricFamily kCounter{"x_total", MetricKind::Counter, "name", "How often"};
constexpr MetricFamily kInfo{"x_build_info", MetricKind::Info, "version", "What"};
constexpr MetricFamily kGauge{"y", MetricKind::Gauge, "", "How much"};
constexpr MetricFamily kHistogram{"z_seconds", MetricKind::Histogram, "", "How long"};

std::string written(Format format, const std::string& odd) {
  Exposition text(format);
  text.begin(kInfo);
  text.sample({{"version", "1"}}, std::uint64_t{1});
  text.begin(kCounter);
  text.sample({{"name", odd}}, std::uint64_t{18'446'744'073'709'551'615U});
  text.begin(kGauge);  // which has no sample
  text.begin(kHistogram);
  const CumulativeBucket buckets[] = {{"0.001", 1}, {"0.002", 3}, {"+Inf", 4}};
  text.histogram({}, buckets, seconds_text(1'234'500));
  return text.finish();
}

}  // namespace

TEST_CASE("both formats are what their strictest reader takes whatever is in a label") {
  const std::string odd = "a\"b\\c\nd}e,f=\"g ö\t\x01";
  const Scraped open(written(Format::OpenMetrics, odd), Scraped::Format::OpenMetrics);
  CHECK(open.find("x")->type == "counter");
  CHECK(open.count("x_total", {{"name", odd}}) == 1);
  CHECK(open.find("x_build")->type == "info");
  CHECK(open.sum("z_seconds_sum") == 1.2345);
  CHECK(open.find("y") == nullptr);
  const Scraped plain(written(Format::Prometheus, odd), Scraped::Format::Prometheus);
  CHECK(plain.find("x_total")->type == "counter");
  CHECK(plain.find("x_build_info")->type == "gauge");
  CHECK_THROWS(Scraped(written(Format::Prometheus, ""), Scraped::Format::OpenMetrics));
}

TEST_CASE("the strict reader refuses what is forbidden") {
  const auto refuses = [](const std::string& text) {
    CAPTURE(text);
    CHECK_THROWS_AS(Scraped(text + "# EOF\n", Scraped::Format::OpenMetrics), std::runtime_error);
  };
  const std::string head = "# HELP x h\n# TYPE x gauge\n";
  CHECK_NOTHROW(Scraped(head + "x{a=\"b\"} 1\n# EOF\n", Scraped::Format::OpenMetrics));
  for (const char* line :
       {"x 1\nx 2\n", "y 1\n", "x{a=\"b\",} 1\n", "x{a=\"b\",a=\"c\"} 1\n", "x{a=\"\\t\"} 1\n", "x  1\n",
        "x 1 \n", "x one\n", "x{a=b} 1\n", "\nx 1\n", "x 0x10\n", "x{1a=\"b\"} 1\n"})
    refuses(head + line);
  refuses("# TYPE x gauge\nx 1\n");
  refuses(head);
  refuses(head + "x 1\n# HELP y h\n# TYPE y gauge\ny 1\n# HELP x h\n# TYPE x gauge\nx{a=\"b\"} 1\n");
  const std::string counter = "# HELP x h\n# TYPE x counter\n";
  refuses(counter + "x 1\n");
  refuses(counter + "x_total -1\n");
  const std::string histogram = "# HELP x h\n# TYPE x histogram\n";
  refuses(histogram + "x_bucket{le=\"1\"} 1\nx_sum 1\nx_count 1\n");
  refuses(histogram + "x_bucket{le=\"1\"} 2\nx_bucket{le=\"+Inf\"} 1\nx_sum 1\nx_count 1\n");
  refuses(histogram + "x_bucket{le=\"+Inf\"} 1\nx_sum 1\nx_count 2\n");
  refuses(histogram + "x_bucket{le=\"+Inf\"} 1\nx_count 1\n");
}

TEST_CASE("the format is the one that is wanted most") {
  CHECK(Exposition::format_wanted("") == Format::Prometheus);
  CHECK(Exposition::format_wanted("*/*") == Format::Prometheus);
  CHECK(Exposition::format_wanted("text/plain") == Format::Prometheus);
  // Prometheus 2.42.
  CHECK(Exposition::format_wanted("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                                  "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1") ==
        Format::OpenMetrics);
  CHECK(Exposition::format_wanted("application/openmetrics-text;q=0.3, text/plain;q=0.5") ==
        Format::Prometheus);
  CHECK(Exposition::format_wanted("application/openmetrics-text;q=0") == Format::Prometheus);
}

TEST_CASE("seconds are told exactly") {
  CHECK(seconds_text(50) == "0.00005");
  CHECK(seconds_text(0) == "0");
  CHECK(seconds_text(12'500'000) == "12.5");
  CHECK(seconds_text(104'857'600'000'001) == "104857600.000001");
}

TEST_CASE("an amount is in the first bucket whose end it does not pass") {
  for (std::size_t bucket = 0; bucket + 1 < SizeBuckets::kCount; ++bucket) {
    const std::uint64_t end = SizeBuckets::end_of(bucket);
    CHECK(SizeBuckets::of(end) == bucket);
    CHECK(SizeBuckets::of(end + 1) == bucket + 1);
  }
  CHECK(SizeBuckets::of(0) == 0);
  CHECK(SizeBuckets::of(UINT64_MAX) == SizeBuckets::kCount - 1);
  CHECK(SpanBuckets::end_of(SpanBuckets::kCount - 2) == 1'000ULL * 67'108'864);
}

TEST_CASE("what is compressed comes back and what is none is told") {
  const std::string text = std::string(100'000, 'x') + "y";
  CHECK(gzip(text).size() < 2'000);
  CHECK(gunzip(gzip(text), 1'000'000).value() == text);
  CHECK_FALSE(gunzip(gzip(text), 1'000));
  CHECK_FALSE(gunzip("no gzip", 1'000));
}

TEST_CASE("the manual tells every metric with its labels and what it is") {
  const std::string page = metrics_manual("1", "2026-01-31");
  for (const MetricFamily* family : metrics::all()) {
    CAPTURE(family->name);
    CHECK(page.find("\\fB" + roff_word(family->name) + "\\fR") != std::string::npos);
    CHECK(page.find(roff_prose(std::string(family->help) + ".")) != std::string::npos);
  }
}

TEST_CASE("every metric has a name of its own that says what it is") {
  std::set<std::string_view> names;
  for (const MetricFamily* family : metrics::all()) {
    CAPTURE(family->name);
    // OpenMetrics calls a counter x_total, and an info x_info, x.
    std::string_view name = family->name;
    if (family->kind == MetricKind::Counter) name.remove_suffix(6);
    if (family->kind == MetricKind::Info) name.remove_suffix(5);
    CHECK(names.insert(name).second);
    CHECK(family->name.ends_with("_total") == (family->kind == MetricKind::Counter));
    CHECK(family->name.ends_with("_info") == (family->kind == MetricKind::Info));
    CHECK_FALSE(family->help.empty());
  }
}
